"""Stand-ins for outside services: real protocols over real sockets, with state and with faults to switch on."""
