//! What ends a wait: the end of the link, of the port, of a node.
