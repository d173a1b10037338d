"""The setting `incidents`: systems, their presets and expressions. Imported only where the setting is set."""
