"""deploy/haproxy/: HAProxy and the tersed behind it, from exactly these files,
with ports and paths of ours."""
import os
import re
import shutil
import subprocess

import servers

PATH = shutil.which('haproxy', path='/usr/sbin:/usr/bin')
FOLDER = os.path.join(servers.ROOT, 'deploy', 'haproxy')


def adapted(name, swaps):
    """The text of a file with each key in it replaced; none may be missing."""
    with open(os.path.join(FOLDER, name)) as f:
        text = f.read()
    missing = [key for key in swaps if key not in text]
    assert not missing, f'{name} has no {missing}'
    return re.sub('|'.join(map(re.escape, sorted(swaps, key=len, reverse=True))),
                  lambda found: str(swaps[found[0]]), text)


class Haproxy(servers.Program):
    """proxies: the two tersed, with port and admin."""

    name = 'haproxy'

    def __init__(self, proxies):
        super().__init__()
        self.proxies = proxies
        self.locations = [getattr(p, 'location', None) or servers.free_port()
                          for p in proxies]

    def start(self):
        one, two = self.proxies
        path = os.path.join(self.dir, 'haproxy.cfg')
        with open(path, 'w') as f:
            f.write(adapted('haproxy.cfg', {
                ':5333': f'127.0.0.1:{self.port}',
                ':5351': f'127.0.0.1:{self.locations[0]}',
                ':5352': f'127.0.0.1:{self.locations[1]}',
                ':5341': f':{one.port}', ':5342': f':{two.port}',
                '9341': one.admin, '9342': two.admin,
                'inter 2s': 'inter 100ms fall 1 rise 1'}))
        log = open(self.log, 'w')
        self.process = subprocess.Popen([PATH, '-db', '-f', path], stdout=log,
                                        stderr=log)
        log.close()
        servers.wait_port(self.port, self.alive, self.name)
        return self

    def stop(self):
        if self.process:  # there is no other way to end it soon
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Deployed(servers.Tersed):
    """One of the two: NAME.conf, in front of a server's port. host: the name in
    its location."""

    def __init__(self, name, server_port, ca, certificate, secret,
                 host=servers.DOMAIN):
        super().__init__({servers.DOMAIN: {}})
        self.host = host
        self.conf, self.admin = name + '.conf', servers.free_port()
        self.location = servers.free_port()
        self.server_port, self.ca = server_port, ca
        self.certificate, self.secret = certificate, secret

    def arguments(self):
        n = '1' if self.conf == 'one.conf' else '2'
        path = os.path.join(self.dir, self.conf)
        with open(path, 'w') as f:
            f.write(adapted(self.conf, {
                f':534{n}': f':{self.port}', f':934{n}': f':{self.admin}',
                f'{servers.DOMAIN}:535{n}': f'{self.host}:{self.location}',
                ':5222': f':{self.server_port}',
                '/etc/tersed/fullchain.pem': self.certificate,
                '/etc/tersed/privkey.pem': self.certificate,
                '/etc/tersed/ticket-secret': self.secret,
                '/etc/ssl/certs/ca-certificates.crt': self.ca}))
        return [path]
