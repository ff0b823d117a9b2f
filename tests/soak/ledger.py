"""The account of every message: sent once, then delivered once, or refused so
that its sender is told. Whatever else happens to one is a fault."""
import collections

FAULTS_MAX = 40  # are kept in words; all are counted
SCRIPTS = ('plain words & <marks>', 'Grüße, ça va', '図式のみ', '🧾 ok 🙂')


def body_of(ident):
    """The text that belongs to a message: of many lengths and scripts."""
    seq = int(ident.rpartition('-')[2])
    return f'{ident} ' + SCRIPTS[seq % len(SCRIPTS)] * (1 + seq * 7 % 23)


class Ledger:
    """Messages are called PART-SENDER-RECEIVER-SEQ; SEQ counts in each pair."""

    def __init__(self, part):
        self.part = part
        self.counts = collections.Counter()
        self.faults = []
        self.open = {}      # id: whether it has to be refused
        self.owes = collections.Counter()  # how many of these, by receiver
        self.settled = set()
        self.next = collections.Counter()
        self.last = {}      # the newest that came, by pair

    def fault(self, kind, text):
        self.counts['faults'] += 1
        self.counts[f'fault: {kind}'] += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(f'{kind}: {text}')

    def sends(self, sender, receiver, to_nobody=False):
        """The id of the next message of this pair, which counts as sent."""
        pair = (sender, receiver)
        self.next[pair] += 1
        ident = f'{self.part}-{sender}-{receiver}-{self.next[pair]}'
        self.open[ident] = to_nobody
        self.owes[receiver] += 1
        self.counts['sent'] += 1
        return ident

    def delivered(self, receiver, ident, body, in_order):
        """in_order: whether it may not be older than the last such one."""
        part, _, rest = ident.partition('-')
        sender, _, rest = rest.partition('-')
        to, _, seq = rest.rpartition('-')
        if part != self.part or to != receiver:
            return self.fault('astray', f'{receiver} got {ident}')
        if body != body_of(ident):
            self.fault('changed', f'{ident}: {body!r}')
        if not self.settle(ident, False):
            return None
        self.counts['delivered'] += 1
        if in_order:
            last = self.last.get((sender, to), 0)
            if int(seq) < last:
                self.fault('out of order', f'{ident} after {last}')
            self.last[sender, to] = int(seq)
        else:
            self.counts['delivered later'] += 1
        return None

    def refused(self, ident):
        """An error came back for it."""
        if self.settle(ident, True):
            self.counts['refused'] += 1

    def settle(self, ident, refused):
        to_nobody = self.open.pop(ident, None)
        if to_nobody is None:
            kind = 'twice' if ident in self.settled else 'unknown'
            self.fault(kind, ident)
            return False
        if to_nobody and not refused:
            self.fault('astray', f'{ident}, which is for nobody')
        self.owes[ident.split('-')[-2]] -= 1
        self.settled.add(ident)
        return True

    def owed(self, receiver):
        return self.owes[receiver] > 0

    def close(self):
        """Nothing more comes: what is open is lost."""
        for ident in self.open:
            self.fault('lost', ident)
        self.open.clear()
