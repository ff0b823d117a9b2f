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

    def __init__(self, part, receipts=False, witness=None):
        """receipts: for what was delivered there has to be one (XEP-0184).
        witness: tells what was the server's own doing (tests/ledger)."""
        self.part, self.witness = part, witness
        self.receipts = set() if receipts else None
        self.counts = collections.Counter()
        self.faults = []
        self.open = {}      # id: whether it has to be refused
        self.owes = collections.Counter()  # how many of these, by receiver
        self.settled = {}    # id: whether it was refused
        self.next = collections.Counter()
        self.last = {}      # the newest that came, by pair

    def fault(self, kind, text, ident='', newer=''):
        """ident: the message that came when it should not, newer: the one of the
        same pair that came before it."""
        if self.witness and self.witness.by_server(kind, ident, newer):
            self.counts[f'by the server: {kind}'] += 1
            return
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
                self.fault('out of order', f'{ident} after {last}', ident,
                           f'{part}-{sender}-{to}-{last}')
            self.last[sender, to] = max(last, int(seq))
        else:
            self.counts['delivered later'] += 1
        return None

    def receipted(self, name, ident):
        """name is told that it has come."""
        sender, _, rest = ident.partition('-')[2].partition('-')
        to, _, seq = rest.rpartition('-')
        if sender != name or self.settled.get(ident) is not False:
            return self.fault('astray', f'{ident}, a receipt for {name}')
        if ident in self.receipts:
            return self.fault('twice', f'{ident}, a receipt', f'r-{ident}')
        self.receipts.add(ident)
        self.counts['receipts'] += 1
        last = self.last.get((sender, to, 'receipt'), 0)
        if int(seq) < last:
            self.fault('out of order', f'{ident}, a receipt, after {last}',
                       f'r-{ident}', f'r-{self.part}-{sender}-{to}-{last}')
        self.last[sender, to, 'receipt'] = max(last, int(seq))
        return None

    def owing(self):
        """How many receipts are still to come."""
        return self.counts['delivered'] - len(self.receipts)

    def refused(self, ident):
        """An error came back for it."""
        if self.settle(ident, True):
            self.counts['refused'] += 1

    def settle(self, ident, refused):
        to_nobody = self.open.pop(ident, None)
        if to_nobody is None:
            kind = 'twice' if ident in self.settled else 'unknown'
            self.fault(kind, ident, ident)
            return False
        if to_nobody and not refused:
            self.fault('astray', f'{ident}, which is for nobody')
        self.owes[ident.split('-')[-2]] -= 1
        self.settled[ident] = refused
        return True

    def owed(self, receiver):
        return self.owes[receiver] > 0

    def close(self):
        """Nothing more comes: what is open is lost."""
        for ident in self.open:
            self.fault('lost', ident, ident)
        self.open.clear()
        if self.receipts is not None:
            for ident, refused in self.settled.items():
                if not refused and ident not in self.receipts:
                    self.fault('lost', f'{ident}, a receipt', f'r-{ident}')
