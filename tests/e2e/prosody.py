"""A private, throw-away Prosody, beside servers.Ejabberd."""
import os
import subprocess
import tempfile

from servers import DOMAIN, certificate, free_port, read_tail, wait_port

CONFIG = '''
pidfile = "{dir}/pid"; data_path = "{dir}/data"; certificates = "{dir}/tls"
run_as_root = true
interfaces = {{ "127.0.0.1" }}; local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {starttls} }}; c2s_direct_tls_ports = {{ }}
http_ports = {{ }}; https_ports = {{ }}; s2s_ports = {{ }}
c2s_require_encryption = true
authentication = "internal_plain"
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "carbons", "pep",
    "private", "smacks", "csi", "csi_simple", "ping", "time", "version",
    "posix" }}
modules_disabled = {{ "s2s" }}
smacks_hibernation_time = 300
limits = {{ }}
log = {{ debug = "{dir}/log" }}
VirtualHost "{domain}"
    ssl = {{ key = "{pem}.key", certificate = "{pem}" }}
'''


class Prosody:
    opened = 'Resource bound: '  # and the JID, in its log

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='terse-e2e-prosody-')
        self.log = os.path.join(self.dir, 'log')
        self.starttls = free_port()
        os.mkdir(os.path.join(self.dir, 'tls'))
        self.ca = certificate(os.path.join(self.dir, 'tls', 'server.pem'),
                              DOMAIN)
        self.accounts = os.path.join(
            self.dir, 'data', DOMAIN.replace('.', '%2e').replace('-', '%2d'),
            'accounts')
        os.makedirs(self.accounts)
        path = os.path.join(self.dir, 'prosody.cfg.lua')
        with open(path, 'w') as f:
            f.write(CONFIG.format(dir=self.dir, starttls=self.starttls,
                                  domain=DOMAIN, pem=self.ca))
        with open(os.path.join(self.dir, 'console'), 'wb') as console:
            self.process = subprocess.Popen(
                ['prosody', '--config', path, '-F'], stdin=subprocess.DEVNULL,
                stdout=console, stderr=console, start_new_session=True)
        try:
            wait_port(self.starttls, lambda: self.process.poll() is None,
                      'prosody')
        except RuntimeError:
            print(self.logs())
            self.stop()
            raise

    def add_user(self, user, domain=DOMAIN):
        assert domain == DOMAIN
        name = user.replace('-', '%2d')
        with open(os.path.join(self.accounts, f'{name}.dat'), 'w') as f:
            f.write(f'return {{ ["password"] = "pw-{user}"; }};\n')

    def logs(self):
        return (read_tail(self.log) +
                read_tail(os.path.join(self.dir, 'console')))

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        subprocess.run(['rm', '-rf', self.dir], check=False)
