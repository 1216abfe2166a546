"""Containers that realise instances: images, systemd-nspawn, cloud-init, metadata, console, disks."""
