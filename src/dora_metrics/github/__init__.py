"""Everything that talks to GitHub: event payloads, the API client, history, issues and the workflow runner."""
