"""The lab's memory: database, traces and artifacts under LAB_HOME."""
