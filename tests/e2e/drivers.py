"""XMPP clients under one small interface, so that a scenario is written once
and runs over every way a client can reach the server.

A Client logs in, sends and receives; everything it receives is kept in its
inbox as an ElementTree element, and `expect` takes the first that fits out of
it. The base class does what a scenario asks for by plain XML; SlixmppClient
does the same by slixmpp's own plugins wherever it has one.
"""
import asyncio
import contextlib
import copy
import itertools
import os
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import slixmpp

CLIENT = '{jabber:client}'
STREAMS = '{http://etherx.jabber.org/streams}'
STREAM_ERROR = '{urn:ietf:params:xml:ns:xmpp-streams}'
STANZA_ERROR = '{urn:ietf:params:xml:ns:xmpp-stanzas}'
SASL = '{urn:ietf:params:xml:ns:xmpp-sasl}'
SM = '{urn:xmpp:sm:3}'
BIND = '{urn:ietf:params:xml:ns:xmpp-bind}'
ROSTER = '{jabber:iq:roster}'
MUC = 'http://jabber.org/protocol/muc'
LANG = '{http://www.w3.org/XML/1998/namespace}lang'
FOOTER = 'footer'  # stands in an inbox where a stream has ended
TIMEOUT = 30

_ids = itertools.count(1)


class Gone(Exception):
    """The connection is lost; .error is the stream error's condition."""

    def __init__(self, text, error=None):
        super().__init__(text)
        self.error = error


class LoginRefused(Exception):
    """SASL failed; .condition says why."""

    def __init__(self, condition):
        super().__init__(condition)
        self.condition = condition


def new_id():
    return f'e2e-{next(_ids)}'


def parse(xml):
    """The element that stands in an XMPP stream as `xml`."""
    return ET.fromstring(
        "<s xmlns='jabber:client' xmlns:stream="
        f"'http://etherx.jabber.org/streams'>{xml}</s>")[0]


def condition(element, ns):
    """The defined condition in an error element."""
    for child in element:
        if child.tag.startswith(ns) and child.tag != ns + 'text':
            return child.tag[len(ns):]
    return None


def bare(jid):
    return (jid or '').split('/')[0]


class Client:
    """A client at host:port. Scenarios use the public methods only."""

    # What this kind of client cannot do, by scenario: the reason.
    cannot = {}

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.jid = None          # full, once logged in
        self.inbox = []
        self.waiting = []        # (predicate, future)
        self.gone = None         # a Gone
        self.stream_error = None
        self.broken = []         # rules that what came has broken
        self.software = ('e2e', '1.0')
        self.managed = False     # stream management is on
        self.acknowledges = True  # answers the server's requests for it
        self.handled = 0         # stanzas received since then
        self.sm_id = None

    # -- receiving --

    def got(self, element):
        """One element of the stream came."""
        if element.tag == STREAMS + 'error':
            self.stream_error = condition(element, STREAM_ERROR)
        for i, (fits, future) in enumerate(self.waiting):
            if not future.done() and fits(element):
                del self.waiting[i]
                future.set_result(element)
                return
        self.inbox.append(element)

    def lost(self, why):
        self.gone = Gone(f'{why} (stream error: {self.stream_error})',
                         self.stream_error)
        waiting, self.waiting = self.waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_exception(self.gone)

    async def expect(self, fits, what='an element', timeout=TIMEOUT):
        """Takes the first element that fits out of what came or comes."""
        for i, element in enumerate(self.inbox):
            if fits(element):
                return self.inbox.pop(i)
        if self.gone:
            raise self.gone
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((fits, future))
        try:
            return await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            held = '\n'.join(ET.tostring(e, 'unicode')[:600]
                             for e in self.inbox[-8:])
            raise AssertionError(
                f'{self.jid}: no {what} in {timeout} s; it holds:\n{held}'
            ) from None

    async def expect_gone(self, timeout=TIMEOUT):
        """Waits until the server has ended the connection."""
        try:
            await self.expect(lambda e: False, 'end of stream', timeout)
        except Gone as gone:
            return gone

    def seen(self, fits):
        return [e for e in self.inbox if fits(e)]

    async def flush(self):
        """Returns once all that the server sent before now has come."""
        reply = await self.iq('get', "<ping xmlns='urn:xmpp:ping'/>")
        assert reply.get('type') == 'result'

    # -- to be done by each kind of client --

    async def login(self, user, password, domain, resource, mechanism=None,
                    manage=False, register=False):
        raise NotImplementedError

    async def send(self, xml):
        raise NotImplementedError

    async def send_at_once(self, stanzas):
        """All of them in one write."""
        await self.send(''.join(stanzas))

    async def drop(self):
        """Loses the connection and says nothing."""
        raise NotImplementedError

    async def resume(self):
        """Connects again and resumes the stream."""
        raise NotImplementedError

    async def close(self):
        """Ends in good order; called for every client at last."""
        raise NotImplementedError

    # -- what scenarios do, by plain XML --

    async def iq(self, kind, payload, to=None):
        """Sends an iq; returns the result or error that answers it."""
        ident = new_id()
        target = f' to={quoteattr(to)}' if to else ''
        await self.send(f"<iq type='{kind}' id='{ident}'{target}>{payload}"
                        "</iq>")
        return await self.expect(
            lambda e: e.tag == CLIENT + 'iq' and e.get('id') == ident and
            e.get('type') in ('result', 'error'), f'answer to {payload[:80]}')

    async def message(self, to, body=None, kind='chat', ident=None, lang=None,
                      subject=None, thread=None, extra=''):
        xml = f"<message to={quoteattr(to)} type='{kind}'"
        xml += f' id={quoteattr(ident or new_id())}'
        if lang:
            xml += f' xml:lang={quoteattr(lang)}'
        xml += '>'
        if subject is not None:
            xml += f'<subject>{escape(subject)}</subject>'
        if body is not None:
            xml += f'<body>{escape(body)}</body>'
        if thread is not None:
            xml += f'<thread>{escape(thread)}</thread>'
        await self.send(xml + extra + '</message>')

    async def presence(self, to=None, kind=None, show=None, status=None,
                       priority=None):
        xml = '<presence'
        if to:
            xml += f' to={quoteattr(to)}'
        if kind:
            xml += f" type='{kind}'"
        xml += '>'
        for name, value in (('show', show), ('status', status),
                            ('priority', priority)):
            if value is not None:
                xml += f'<{name}>{escape(str(value))}</{name}>'
        await self.send(xml + '</presence>')

    async def roster(self):
        """The roster's query element."""
        reply = await self.iq('get', "<query xmlns='jabber:iq:roster'/>")
        return reply.find(ROSTER + 'query')

    async def roster_set(self, jid, name, groups):
        groups = ''.join(f'<group>{escape(g)}</group>' for g in groups)
        return await self.iq(
            'set', f"<query xmlns='jabber:iq:roster'><item jid="
            f'{quoteattr(jid)} name={quoteattr(name)}>{groups}</item></query>')

    async def roster_remove(self, jid):
        return await self.iq(
            'set', f"<query xmlns='jabber:iq:roster'><item jid="
            f"{quoteattr(jid)} subscription='remove'/></query>")

    async def join(self, room, nick):
        await self.send(f"<presence to={quoteattr(room + '/' + nick)}>"
                        f"<x xmlns='{MUC}'><history maxstanzas='0'/></x>"
                        '</presence>')

    async def leave(self, room, nick):
        await self.presence(f'{room}/{nick}', 'unavailable')

    async def carbons(self):
        return await self.iq('set', "<enable xmlns='urn:xmpp:carbons:2'/>")

    async def disco_info(self, jid):
        return await self.iq(
            'get', "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            jid)

    async def version(self, jid):
        return await self.iq('get', "<query xmlns='jabber:iq:version'/>", jid)

    async def ping(self, jid):
        return await self.iq('get', "<ping xmlns='urn:xmpp:ping'/>", jid)

    async def unregister(self):
        return await self.iq(
            'set', "<query xmlns='jabber:iq:register'><remove/></query>")

    # -- what a well-behaved client does by itself --

    def respond(self, element):
        """Answers requests; what it returns is to be sent, or None."""
        if element.tag == SM + 'r' and self.managed:
            return (f"<a xmlns='urn:xmpp:sm:3' h='{self.handled}'/>"
                    if self.acknowledges else None)
        if self.managed and element.tag.startswith(CLIENT):
            self.handled += 1
        if (element.tag != CLIENT + 'iq' or
                element.get('type') not in ('get', 'set')):
            return None
        tag = element[0].tag if len(element) else ''
        attrs = f"id={quoteattr(element.get('id'))}"
        if element.get('from'):
            attrs += f" to={quoteattr(element.get('from'))}"
        if tag == '{jabber:iq:version}query':
            name, number = self.software
            return (f"<iq type='result' {attrs}>"
                    f"<query xmlns='jabber:iq:version'><name>{name}</name>"
                    f'<version>{number}</version></query></iq>')
        if tag in ('{urn:xmpp:ping}ping', ROSTER + 'query'):
            return f"<iq type='result' {attrs}/>"
        return (f"<iq type='error' {attrs}><error type='cancel'>"
                "<service-unavailable xmlns='"
                "urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")


class Driven(Client):
    """A client that is a C program, driven over stdin and stdout."""

    program = None

    def __init__(self, host, port):
        super().__init__(host, port)
        self.process = None
        self.tasks = []
        self.keep = None         # a list takes the XML of all that comes
        self.answers = None      # lines that answer a command

    def arguments(self):
        raise NotImplementedError

    async def start(self):
        path = os.path.join(os.environ['E2E_DRIVERS'],
                            'e2e-' + self.program)
        # What an earlier process still said ("send failed") answers nothing.
        self.answers = asyncio.Queue()
        # The inherited stderr is pytest's capture: sanitizers report there.
        self.process = await asyncio.create_subprocess_exec(
            path, *self.arguments(), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=1 << 26)
        self.tasks.append(asyncio.create_task(self.reading(self.process)))

    async def reading(self, process):
        while line := await process.stdout.readline():
            tag, _, text = line.decode().rstrip('\n').partition(' ')
            if '\\' in text:
                text = ''.join(
                    {'\\\\': '\\', '\\n': '\n', '\\r': '\r'}.get(part, part)
                    for part in _tokens(text))
            self.event(tag, text)
        if not self.gone:
            self.event('gone', 'the driver ended')

    def event(self, tag, text):
        if tag == 'in':
            if self.keep is not None:
                self.keep.append(text)
            element = parse(text)
            answer = self.respond(element)
            if answer:
                self.write('send', answer)
            self.got(element)
        elif tag == 'bad':
            self.broken.append(text)
            self.lost(f'broken: {text}')
            self.answers.put_nowait((tag, text))
        elif tag == 'gone':
            self.lost(f'connection lost {text}')
            self.answers.put_nowait((tag, text))
        elif tag == 'close':
            self.got(ET.Element(FOOTER))
        elif tag == 'open':
            self.opened(parse(text))
        else:
            self.answers.put_nowait((tag, text))

    def opened(self, element):
        """A stream header came."""

    def write(self, command, *args):
        text = ' '.join(args)
        text = text.replace('\\', '\\\\')
        text = text.replace('\n', '\\n').replace('\r', '\\r')
        self.process.stdin.write(f'{command} {text}\n'.encode())

    async def answer(self):
        return await asyncio.wait_for(self.answers.get(), TIMEOUT)

    async def send(self, xml):
        self.write('send', xml)
        await self.process.stdin.drain()

    async def drop(self):
        self.write('drop')
        await self.expect_gone()
        while not self.answers.empty():
            self.answers.get_nowait()

    async def end(self):
        """Ends the program; it must end well."""
        if self.process:
            self.process.stdin.close()
            try:
                code = await asyncio.wait_for(self.process.wait(), 10)
            except asyncio.TimeoutError:
                self.process.kill()
                code = await self.process.wait()
            if code != 0:
                self.broken.append(f'{self.program} ended with {code}')
            self.process = None
        for task in self.tasks:
            task.cancel()
        self.tasks = []


def _tokens(text):
    i = 0
    while i < len(text):
        step = 2 if text[i] == '\\' else 1
        yield text[i:i + step]
        i += step


class PlainClient(Driven):
    """pair0_driver.c: SCRAM by libgsasl, all else by plain XML; the wire is
    XML over TCP, or frames over an nng pair0 socket."""

    program = 'pair0_driver'
    wire = None
    hangs_up = True  # when the other side has ended the stream

    def arguments(self):
        scheme = 'tcp://' if self.wire == 'pair0' else ''
        return self.wire, f'{scheme}{self.host}:{self.port}'

    async def open(self, domain):
        """Opens a stream; returns its features."""
        await self.send("<?xml version='1.0'?><stream:stream "
                        f"to={quoteattr(domain)} version='1.0' xml:lang='en' "
                        "xmlns='jabber:client' "
                        "xmlns:stream='http://etherx.jabber.org/streams'>")
        return await self.expect(lambda e: e.tag == STREAMS + 'features',
                                 'features')

    async def authenticate(self, user, password, domain, mechanism=None,
                           register=False):
        await self.start()
        features = await self.open(domain)
        self.mechanisms = [m.text for m in features.iter(SASL + 'mechanism')]
        self.first_features = self.features = features
        if register:
            await self.register(user, password)
        mechanism = mechanism or next(
            m for m in ('SCRAM-SHA-256', 'SCRAM-SHA-1')
            if m in self.mechanisms)
        assert mechanism in self.mechanisms
        self.write('sasl', mechanism, user, password)
        tag, data = await self.answer()
        assert tag in ('sasl', 'sasl-done'), data
        await self.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                        f"mechanism='{mechanism}'>{data}</auth>")
        while True:
            step = await self.expect(lambda e: e.tag.startswith(SASL), 'SASL')
            if step.tag == SASL + 'failure':
                raise LoginRefused(condition(step, SASL))
            if tag != 'sasl-done' or step.text:
                self.write('step', step.text or '')
                tag, data = await self.answer()
                assert tag in ('sasl', 'sasl-done'), data
            if step.tag == SASL + 'success':
                assert tag == 'sasl-done', "the server's proof is missing"
                break
            await self.send("<response xmlns='urn:ietf:params:xml:ns:"
                            f"xmpp-sasl'>{data}</response>")
        self.mechanism = mechanism
        self.write('restart')
        self.features = await self.open(domain)

    async def register(self, user, password):
        form = await self.iq('get', "<query xmlns='jabber:iq:register'/>")
        query = form.find('{jabber:iq:register}query')
        assert query.find('{jabber:iq:register}username') is not None
        reply = await self.iq(
            'set', "<query xmlns='jabber:iq:register'><username>"
            f'{escape(user)}</username><password>{escape(password)}'
            '</password></query>')
        assert reply.get('type') == 'result', ET.tostring(reply)

    async def login(self, user, password, domain, resource, mechanism=None,
                    manage=False, register=False):
        self.account = (user, password, domain, mechanism)
        await self.authenticate(user, password, domain, mechanism, register)
        reply = await self.iq(
            'set', "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f'<resource>{escape(resource)}</resource></bind>')
        self.jid = reply.findtext(f'{BIND}bind/{BIND}jid')
        if manage:
            await self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            enabled = await self.expect(lambda e: e.tag == SM + 'enabled',
                                        'enabled')
            self.sm_id = enabled.get('id')
            assert self.sm_id and enabled.get('resume') in ('true', '1')

    def got(self, element):
        if element.tag in (SM + 'enabled', SM + 'resumed'):
            self.managed = True
        super().got(element)
        if element.tag == FOOTER and self.hangs_up:
            self.write('drop')

    async def resume(self):
        await self.end()
        self.gone = self.stream_error = None
        self.managed = False
        await self.authenticate(*self.account)
        await self.send("<resume xmlns='urn:xmpp:sm:3' "
                        f"h='{self.handled}' previd={quoteattr(self.sm_id)}/>")
        reply = await self.expect(
            lambda e: e.tag in (SM + 'resumed', SM + 'failed'), 'resumed')
        assert reply.tag == SM + 'resumed', ET.tostring(reply)

    async def close(self):
        if self.process and not self.gone:
            self.respond = lambda element: None
            # Who ends the stream hangs up when the other side has ended it too.
            await self.send('</stream:stream>')
            with contextlib.suppress(Gone):
                await self.expect(lambda e: e.tag == FOOTER, 'footer')
        await self.end()


class XmlClient(PlainClient):
    wire = 'xml'


class Pair0Client(PlainClient):
    wire = 'pair0'


class StropheClient(Driven):
    """strophe_driver.c: login, stream management and resume by libstrophe."""

    program = 'strophe_driver'

    def arguments(self):
        return self.host, str(self.port)

    async def send(self, xml):
        # libstrophe forgets the namespaces of attributes as it reads a
        # stanza from a string; what has any goes out as it is.
        raw = 'xml:' in xml or 'xmlns:' in xml
        self.write('raw' if raw else 'send', xml)
        await self.process.stdin.drain()

    async def send_at_once(self, stanzas):
        self.write('raw', ''.join(stanzas))
        await self.process.stdin.drain()

    async def ready(self):
        while True:
            tag, text = await self.answer()
            if tag == 'ready':
                return text
            if tag == 'failure':
                raise LoginRefused(condition(ET.fromstring(
                    text.replace('<failure', "<failure xmlns='" + SASL[1:-1] +
                                 "'", 1) if 'xmlns' not in text else text),
                    SASL))
            if tag in ('gone', 'bad'):
                raise self.gone

    async def login(self, user, password, domain, resource, mechanism=None,
                    manage=False, register=False):
        # It always takes the strongest mechanism that is offered; a domain
        # that offers one only makes the choice (conftest.py).
        await self.start()
        if register:
            await self.register(user, password, domain)
        self.write('login', '\t'.join((f'{user}@{domain}/{resource}', password,
                                       '1' if manage else '0')))
        self.jid = await self.ready()

    async def register(self, user, password, domain):
        self.write('open', domain)
        await self.ready()
        await self.expect(lambda e: e.tag == STREAMS + 'features', 'features')
        await PlainClient.register(self, user, password)
        self.write('close')
        await self.expect_gone()
        self.gone = None
        await self.answer()

    def respond(self, element):
        # libstrophe counts and acknowledges by itself.
        return super().respond(element) if element.tag != SM + 'r' else None

    async def resume(self):
        self.gone = self.stream_error = None
        self.write('resume')
        jid = await self.ready()
        assert jid == self.jid, f'resumed as {jid}, was {self.jid}'

    async def close(self):
        if self.process and not self.gone and self.jid:
            self.write('close')
            await self.expect_gone()
        await self.end()


class _Slixmpp(slixmpp.ClientXMPP):
    """slixmpp as it is, but that it tells what it received."""

    def __init__(self, owner, *args, **kwargs):
        self.owner = owner
        super().__init__(*args, **kwargs)

    def incoming_filter(self, xml):
        self.owner.got(copy.deepcopy(xml))
        return xml


class SlixmppClient(Client):
    """slixmpp, by its own plugins."""

    def make(self, user, password, domain, resource, mechanism, manage):
        mechanisms = {'use_mechs': {mechanism}} if mechanism else {}
        # As a user has to say it, who trusts the way to the agent.
        mechanisms['unencrypted_plain'] = mechanism == 'PLAIN'
        x = _Slixmpp(self, f'{user}@{domain}/{resource}', password,
                     plugin_config={'feature_mechanisms': mechanisms})
        x.auto_authorize = None  # the scenario answers
        x.auto_subscribe = False
        for plugin in ('xep_0030', 'xep_0045', 'xep_0092', 'xep_0199',
                       'xep_0280'):
            x.register_plugin(plugin)
        x['xep_0092'].software_name, x['xep_0092'].version = self.software
        if manage:
            x.register_plugin('xep_0198')
        x.add_event_handler('disconnected',
                            lambda why: self.lost(f'disconnected {why}'))
        return x

    def until(self, *events):
        """A future for whichever of the events comes first, or the end."""
        future = asyncio.get_running_loop().create_future()

        def done(name):
            def handle(data):
                if not future.done():
                    future.set_result((name, data))
            return handle
        for name in (*events, 'disconnected', 'connection_failed'):
            self.x.add_event_handler(name, done(name))
        return asyncio.wait_for(future, TIMEOUT)

    def connect(self):
        self.x.connect((self.host, self.port), force_starttls=False,
                       disable_starttls=True)

    async def login(self, user, password, domain, resource, mechanism=None,
                    manage=False, register=False):
        self.x = self.make(user, password, domain, resource, mechanism, manage)
        refused = []
        self.x.add_event_handler(
            'failed_auth', lambda failure: refused.append(failure['condition']))
        if register:
            self.x.register_plugin('xep_0077')
            # slixmpp 1.8 holds back its own registration iq until login.
            self.x._always_send_everything = True
            self.x.add_event_handler('register', self.register)
        outcome = self.until('sm_enabled' if manage else 'session_start',
                             'failed_all_auth')
        self.connect()
        event, data = await outcome
        if event == 'failed_all_auth' or refused:
            raise LoginRefused(refused[-1])
        if event in ('disconnected', 'connection_failed'):
            raise self.gone or Gone(f'{event}: {data}', self.stream_error)
        self.jid = str(self.x.boundjid)

    async def register(self, form):
        assert 'username' in form['register']['fields']
        iq = self.x.make_iq_set()
        iq['register']['username'] = self.x.boundjid.user
        iq['register']['password'] = self.x.password
        await iq.send()

    async def send(self, xml):
        self.x.send_raw(xml)

    async def drop(self):
        lost = self.until()
        self.x.abort()
        await lost

    async def resume(self):
        self.gone = self.stream_error = None
        resumed = self.until('session_resumed', 'session_start')
        self.connect()
        event, data = await resumed
        assert event == 'session_resumed', (event, data)

    async def close(self):
        if hasattr(self, 'x') and self.x.is_connected():
            lost = self.until()
            self.x.disconnect(wait=5)
            await lost

    async def answered(self, future):
        """The answer to an iq, as XML; Gone if the stream ends before."""
        end = asyncio.ensure_future(self.expect_gone())
        try:
            future = asyncio.ensure_future(future)
            await asyncio.wait((future, end), timeout=TIMEOUT,
                               return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise self.gone or AssertionError('no answer to an iq')
            return future.result().xml
        except slixmpp.exceptions.IqError as error:
            return error.iq.xml
        finally:
            end.cancel()

    async def iq(self, kind, payload, to=None):
        iq = self.x.make_iq(itype=kind, ito=to)
        iq.append(ET.fromstring(payload))
        return await self.answered(iq.send())

    async def message(self, to, body=None, kind='chat', ident=None, lang=None,
                      subject=None, thread=None, extra=''):
        message = self.x.make_message(mto=to, mtype=kind)
        message['id'] = ident or new_id()
        if lang:
            message['lang'] = lang
        if subject is not None:
            message['subject'] = subject
        if body is not None:
            message['body'] = body
        if thread is not None:
            message['thread'] = thread
        for child in parse(f'<message>{extra}</message>'):
            message.append(child)
        message.send()

    async def presence(self, to=None, kind=None, show=None, status=None,
                       priority=None):
        self.x.send_presence(pto=to, ptype=kind, pshow=show, pstatus=status,
                             ppriority=priority)

    async def roster(self):
        self.x.client_roster.version = ''  # all of it, not what is new
        reply = await self.answered(self.x.get_roster())
        return reply.find(ROSTER + 'query')

    async def roster_set(self, jid, name, groups):
        return await self.answered(
            self.x.update_roster(jid, name=name, groups=groups))

    async def roster_remove(self, jid):
        return await self.answered(
            self.x.client_roster.update(jid, subscription='remove'))

    async def join(self, room, nick):
        self.x['xep_0045'].join_muc(room, nick)

    async def leave(self, room, nick):
        self.x['xep_0045'].leave_muc(room, nick)

    async def carbons(self):
        return await self.answered(self.x['xep_0280'].enable())

    async def disco_info(self, jid):
        return await self.answered(self.x['xep_0030'].get_info(jid))

    async def version(self, jid):
        return await self.answered(self.x['xep_0092'].get_version(jid))

    async def ping(self, jid):
        return await self.answered(self.x['xep_0199'].send_ping(jid))

    async def unregister(self):
        return await self.answered(self.x['xep_0077'].cancel_registration())
