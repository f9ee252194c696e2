"""What is asked of a device, one file a subject: typed Protocols, and the plain data handed in."""
