"""slapd, run and not imitated: a directory of people on a free port, in a folder of its own, with TLS by an authority of its own."""

import signal
import socket
import subprocess
import time
from pathlib import Path

from conftest import free_port

BASE = "dc=example,dc=org"
READER, SECRET = f"cn=reader,{BASE}", "reader-secret"

CONF = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
security simple_bind=1
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root-secret
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
"""

LDIF = """dn: {base}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {reader}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {secret}

dn: ou=people,{base}
objectClass: organizationalUnit
ou: people
"""


class Slapd:
    """One directory. It ends with the `with` that began it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        (self.folder / "db").mkdir()
        self.port = free_port(socket.SOCK_STREAM)
        self.ca = self.folder / "ca.pem"
        words = {"folder": self.folder, "base": BASE, "reader": READER, "secret": SECRET}
        (self.folder / "slapd.conf").write_text(CONF.format(**words))
        (self.folder / "password").write_text(SECRET + "\n")
        self._certify()
        self._run(["slapadd", "-f", f"{self.folder}/slapd.conf"], LDIF.format(**words))

    def _run(self, words, given=""):
        environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "LDAPTLS_REQCERT": "allow"}  # it takes localhost for the machine's name
        done = subprocess.run(words, input=given, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, (words[0], done.stderr)
        return done.stdout

    def _certify(self):
        def path(name):
            return str(self.folder / name)

        (self.folder / "names").write_text("subjectAltName=DNS:localhost\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._run(["openssl", "req", "-x509", *curve, "-keyout", path("ca.key"), "-out", path("ca.pem"), "-subj", "/CN=directory CA", "-days", "2"])
        self._run(["openssl", "req", *curve, "-keyout", path("server.key"), "-out", path("server.csr"), "-subj", "/CN=localhost"])
        self._run(
            ["openssl", "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial"]
            + ["-extfile", path("names"), "-out", path("server.pem"), "-days", "2"]
        )

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.log = open(self.folder / "log", "ab")
        words = ["/usr/sbin/slapd", "-f", f"{self.folder}/slapd.conf", "-h", f"ldap://localhost:{self.port}/", "-d", "0"]
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=15)
        self.log.close()

    def change(self, ldif):
        """Changes the directory as its administrator."""
        words = ["ldapmodify", "-x", "-ZZ", "-H", f"ldap://localhost:{self.port}", "-D", f"cn=root,{BASE}", "-w", "root-secret"]
        self._run(words, ldif)

    def add(self, user, password, name, kind="staff", number=None):
        number = f"telephoneNumber: {number}\n" if number else ""
        self.change(
            f"dn: uid={user},ou=people,{BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {name}\nsn: {name}\n"
            f"employeeType: {kind}\n{number}userPassword: {password}\n"
        )

    def replace(self, user, attribute, value):
        self.change(f"dn: uid={user},ou=people,{BASE}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n")

    def change_all_at_once(self, users, attribute, value):
        """While it is stopped, so that nobody sees half of it."""
        change = "dn: uid={},ou=people,{}\nchangetype: modify\nreplace: {}\n{}: {}\n"
        ldif = "\n".join(change.format(user, BASE, attribute, attribute, value) for user in users)
        self._run(["slapmodify", "-f", f"{self.folder}/slapd.conf"], ldif)

    def settings(self):
        """How the service finds it: StartTLS before anything is said."""
        return {
            "CUSAX_TLS__TRUST": str(self.ca),
            "CUSAX_AUTH__LDAP__URL": f"ldap://localhost:{self.port}",
            "CUSAX_AUTH__LDAP__BIND_DN": READER,
            "CUSAX_AUTH__LDAP__BIND_PASSWORD_FILE": str(self.folder / "password"),
            "CUSAX_AUTH__LDAP__BASE": f"ou=people,{BASE}",
            "CUSAX_AUTH__LDAP__FILTER": "(&(objectClass=inetOrgPerson)(!(employeeType=left)))",
            "CUSAX_AUTH__LDAP__GROUPS": "employeeType",
            "CUSAX_AUTH__LDAP__ADMIN_GROUP": "operators",
            "CUSAX_AUTH__LDAP__INTERVAL": "1s",
        }
