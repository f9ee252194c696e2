"""The interface of engines, one file a subject: typed Protocols and the plain data they take."""
