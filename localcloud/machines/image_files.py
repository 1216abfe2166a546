"""Files that an image has in addition to its packages: configuration for this cloud, as in the public images."""

from __future__ import annotations

MIRROR_HOST = "packages.internal"  # a name that exists only inside a VPC

_CLOUD_INIT = """\
# Debian's Ec2 datasource reads Tencent's tree unmodified (it is the same tree at another address).
datasource_list: [Ec2]
datasource:
  Ec2:
    metadata_urls: ["http://169.254.0.23"]
    strict_id: false
    max_wait: 30
    timeout: 5
# The cloud has set the interface up before the machine boots, as its DHCP would.
network: {config: disabled}
# There is no locales package: anything but false ends in a failed module.
locale: false
apt_preserve_sources_list: true
# RSA takes a second to make and is what no client of today needs.
ssh_genkeytypes: [ed25519, ecdsa]
ssh_quiet_keygen: true
manage_etc_hosts: false
preserve_hostname: false

cloud_init_modules:
  - bootcmd
  - write-files
  - growpart
  - set_hostname
  - update_hostname
  - users-groups
  - ssh
cloud_config_modules:
  - set-passwords
  - timezone
  - runcmd
cloud_final_modules:
  - package-update-upgrade-install
  - scripts-per-once
  - scripts-per-boot
  - scripts-per-instance
  - scripts-user
  - keys-to-console
  - final-message
  - power-state-change
"""

_SSHD = """\
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
"""

_JOURNAL = """\
[Journal]
SystemMaxUse=64M
RuntimeMaxUse=16M
"""

_APT = """\
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
"""


def base_files(codename: str) -> dict[str, str]:
    """Map path to text, for a Debian system."""
    mirror = f"http://{MIRROR_HOST}"
    return {
        "/etc/apt/sources.list": (
            f"deb {mirror}/debian {codename} main\n"
            f"deb {mirror}/debian {codename}-updates main\n"
            f"deb {mirror}/debian-security {codename}-security main\n"
        ),
        "/etc/apt/apt.conf.d/90localcloud": _APT,
        "/etc/cloud/cloud.cfg.d/99-localcloud.cfg": _CLOUD_INIT,
        # ds-identify looks for DMI data of a hypervisor, which a container does not have: name the datasource.
        "/etc/cloud/ds-identify.cfg": "datasource: Ec2\npolicy: enabled\n",
        "/etc/ssh/sshd_config.d/10-localcloud.conf": _SSHD,
        "/etc/systemd/journald.conf.d/localcloud.conf": _JOURNAL,
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        "/etc/fstab": "# The root file system is there before the machine boots.\n",
        "/etc/machine-id": "",  # empty: every machine generates its own at first boot
    }


# Units that need hardware, or that would run simultaneously on all machines of a host.
MASKED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-timesyncd.service",
    "getty-static.service",
    "getty@tty1.service",
    "ifupdown-pre.service",
    "networking.service",
    "cloud-init-hotplugd.socket",
)
