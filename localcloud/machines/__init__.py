"""Real machines: images, systemd-nspawn, cloud-init, metadata, console, disks."""
