// client.js URL CA-FILE NAME [text]: sends the frames that come on stdin, one a
// line in hex, each as one binary message; prints what comes. A ping follows
// the last frame; the end of stdin closes. text: begins with a text message.
'use strict';
const fs = require('fs');
const readline = require('readline');
const WebSocket = require('ws');

const [url, ca, name, mode] = process.argv.slice(2);
const socket = new WebSocket(url, ['mqtt', 'terse.v1'], {
  ca: fs.readFileSync(ca),
  servername: name,
  perMessageDeflate: true, // offered, and to be declined
});

// The n-th frame waits for as many answers, since SASL is a dialogue.
const frames = [];
let answers = 0, sent = 0, ended = false;
const needed = [0, 2, 3, 5, 6];
function go() {
  while (sent < frames.length && answers >= (needed[sent] || 0))
    socket.send(frames[sent++]);
  if (sent === frames.length && sent >= needed.length) socket.ping('node');
  if (ended && sent === frames.length) socket.close(1000);
}

socket.on('open', () => {
  console.log('open', socket.protocol, socket.extensions);
  if (mode === 'text') socket.send('text');
  readline.createInterface({ input: process.stdin })
    .on('line', (line) => { if (line) frames.push(Buffer.from(line, 'hex')); go(); })
    .on('close', () => { ended = true; go(); });
});
socket.on('message', (data, binary) => {
  if (!binary) throw new Error('a text message came');
  console.log('frame', data.toString('hex'));
  answers++;
  go();
});
socket.on('pong', (data) => console.log('pong', data.toString()));
socket.on('error', (error) => console.log('error', error.message));
socket.on('close', (code, reason) => {
  console.log('close', code, reason.toString());
  process.exit(0);
});
