"""Ways to get an agent running and a byte stream to it, one file each; resolved by URL scheme on use."""

TRANSPORTS = {
    "local": "lab.transports.local:LocalTransport",
    "ssh": "lab.transports.ssh:SshTransport",
    "virtual": "lab.virtual.transport:VirtualTransport",
    "scripted": "lab.transports.scripted:ScriptedTransport",
}
