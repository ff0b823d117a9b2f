#!/usr/bin/python3
"""Bob's side of the demonstration: an ordinary XMPP program, on slixmpp as
Debian has it. It knows nothing of Terse; that it is told another host and port
is all.

    BOT_PASSWORD=... demo/bot.py HOST PORT bob@example.net
"""
import asyncio
import os
import signal
import sys

import slixmpp

ANSWERS = {
    'en': 'Wait for the table at the end.',
    'de': 'Laut und deutlich, und für ein paar Bytes.',
    'fr': 'Même avec une seule barre de réseau.',
    'el': 'Μια χαρά, ευχαριστώ! Εσύ;',
    'ru': 'Всё хорошо, спасибо!',
    'ar': 'بخير، شكرا لك',
    'hi': 'ज़रूर, सात बजे।',
    'zh': '好啊，我们三点见。',
    'ja': 'まだです。一緒に行きましょう。',
    'sw': 'Nzuri sana, asante! 🎉',
}


class Bot(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        self.auto_authorize = self.auto_subscribe = True
        for plugin in ('xep_0030', 'xep_0045', 'xep_0085', 'xep_0092',
                       'xep_0115', 'xep_0184', 'xep_0199', 'xep_0249'):
            self.register_plugin(plugin)
        self['xep_0092'].software_name = 'bot.py'
        self['xep_0092'].version = '1'
        self['xep_0184'].auto_request = True
        self.add_event_handler('session_start', self.start)
        self.add_event_handler('message', self.message)
        self.add_event_handler('groupchat_message', self.groupchat)
        self.add_event_handler('groupchat_direct_invite', self.invited)
        self.add_event_handler('changed_status', self.changed)
        self.add_event_handler('failed_auth', lambda _: self.give_up('login'))
        self.failure = None

    def give_up(self, why):
        self.failure = why
        self.disconnect()

    async def start(self, _):
        await self.get_roster()
        self.send_presence(pshow='chat', pstatus='Δοκιμή', ppriority=1)
        print('ready', flush=True)

    def message(self, message):
        if message['type'] != 'chat' or not message['body']:
            return
        answer = message.reply(ANSWERS.get(message['lang'], '?'))
        composing = self.make_message(mto=message['from'], mtype='chat')
        composing['chat_state'] = 'composing'
        composing.send()
        answer['lang'] = message['lang']
        answer['chat_state'] = 'active'
        answer.send()

    def changed(self, presence):
        if presence['show'] == 'away':
            self.send_presence(pshow='dnd', pstatus='Bon appétit',
                               ppriority=1)

    def invited(self, message):
        self['xep_0045'].join_muc(message['groupchat_invite']['jid'], 'bob')

    def groupchat(self, message):
        if message['mucnick'] == 'bob' or message.xml.find(
                '{urn:xmpp:delay}delay') is not None:
            return
        room = message['from'].bare
        if message['id'] == 'tea':
            self.send_message(room, 'Green or black? お茶 or чай?',
                              mtype='groupchat')
        elif message['id'] == 'bye':
            self['xep_0045'].leave_muc(room, 'bob')


def main():
    host, port, jid = sys.argv[1:]
    bot = Bot(jid, os.environ['BOT_PASSWORD'])
    loop = asyncio.get_event_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: bot.disconnect())
    bot.connect((host, int(port)), force_starttls=False, disable_starttls=True)
    bot.process(forever=False)
    if bot.failure:
        sys.exit(f'bot.py: {bot.failure} failed')


main()
