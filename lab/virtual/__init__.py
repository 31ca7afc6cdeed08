"""Virtual devices: the real agent on this host, reading a simulated sysfs tree."""
