//! Tests of the router and of sockets.
