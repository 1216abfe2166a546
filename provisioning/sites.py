"""Sites of nginx: what it serves under which host names, and with which certificate."""

from __future__ import annotations

from dataclasses import dataclass

from settings.sites import SiteSettings

ACME_ROOT = "/srv/acme"  # below it .well-known/acme-challenge/
CONTENT_DIRECTORY = "/srv/sites"  # not on the data disk of the databases, which is mounted at /srv/tandem
TLS_DIRECTORY = "/etc/nginx/tls"


@dataclass(frozen=True, slots=True)
class Site:
    name: str  # in the names of files, zones and variables
    settings: SiteSettings
    certificate: str = ""  # placeholders.server_certificate(certificate); "": no TLS
    trusted: bool = False  # clients trust the certificate without a CA of their own
    probe: str = ""  # path that answers 200; "": any answer but an error of the server

    @property
    def path(self) -> str:
        """Of its file."""
        return f"/etc/nginx/conf.d/{self.name}.conf"


def content_root(site: str) -> str:
    """The directory with the delivered files of a site (`sites[].content`): a link to the current release."""
    return f"{CONTENT_DIRECTORY}/{site}/current"
