"""The rendered configuration of nginx, in a real nginx on loopback with small backends."""
