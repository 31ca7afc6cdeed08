"""Code that runs on the device: Python 3.9 and up, standard library only outside `runtimes/`."""
