/*
 * terse.h: libterse, XMPP in a fraction of its bytes. XML on one side, frames
 * (Protobuf messages of schemas/terse/frame.proto) on the other.
 *
 * The library does no I/O, starts no thread, reads no clock and keeps no
 * globals. A terse_schema is immutable once made and may be shared between
 * threads; every other object belongs to one thread at a time.
 *
 * Results go through out-parameters; what a function returns says only whether
 * there is one. Unless a line says "takes", pointers are borrowed for the call.
 *
 *   XML bytes --terse_reader_feed--> nodes --terse_encode--> frame
 *   frame --terse_decode--> XML bytes
 */
#ifndef TERSE_H
#define TERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define TERSE_NODISCARD __attribute__((warn_unused_result))
#else
#define TERSE_NODISCARD
#endif

/* Namespaces that the stream itself is made of. */
#define TERSE_NS_CLIENT "jabber:client"
#define TERSE_NS_STREAM "http://etherx.jabber.org/streams"
#define TERSE_NS_XML "http://www.w3.org/XML/1998/namespace"

/* ---- errors ------------------------------------------------------------ */

enum terse_err {
    TERSE_OK = 0,
    TERSE_ENOMEM,      /* no memory; the object stays usable for free/restart */
    TERSE_EXML,        /* XML that is not well-formed */
    TERSE_ERESTRICTED, /* comment, PI, DTD or entity: RFC 6120 section 11.1 */
    TERSE_ENAMESPACE,  /* an undeclared or wrong namespace */
    TERSE_EENCODING,   /* not UTF-8: RFC 6120 section 11.6 */
    TERSE_ESTREAM,     /* not an XMPP stream, or not at this point of one */
    TERSE_ELIMIT,      /* over one of terse_limits; the text names it */
    TERSE_EFRAME,      /* bytes that are no frame, or stand for no XML */
};

/* The first error of a translation. `text` is a whole sentence for a log or a
 * stream error; it never holds content of the stanza. */
struct terse_error {
    enum terse_err code;
    size_t offset;  /* bytes from the start of the element, or of the frame */
    char path[160]; /* where: "message/x/item", or "" */
    char text[240];
};

/* The defined condition of a stream error (RFC 6120 section 4.9.3) that tells
 * a peer about `err`, e.g. "not-well-formed". Static. */
const char *terse_err_condition(enum terse_err err);

/* ---- limits ------------------------------------------------------------ */

/* Each is a maximum; what is over it is refused with TERSE_ELIMIT. They bound
 * memory too: a translation takes no more than a small multiple of
 * stanza_bytes + elements * 128. */
struct terse_limits {
    uint32_t stanza_bytes; /* XML bytes of one top-level element, either way */
    uint32_t frame_bytes;  /* bytes of one frame, either way */
    uint32_t elements;     /* elements in one top-level element */
    uint32_t attributes;   /* attributes of one element, up to 256 */
    uint32_t depth;        /* nesting, 1 = the top-level element; up to 256 */
    uint32_t text_bytes;   /* one attribute value or one run of text */
    uint32_t name_bytes;   /* one local name or one namespace name */
    uint32_t revision;     /* of the schemas, that who reads the frames knows:
                              no field or value of a newer one is written;
                              0 is 1 */
};

/* Defaults: 1 MiB, 1 MiB, 20000, 128, 64, 1 MiB, 1024. */
extern const struct terse_limits terse_limits_default;

/* ---- schema ------------------------------------------------------------ */

/* The compiled schemas, ready to be walked. */
struct terse_schema;

/* Makes the schema that this library was built with. */
TERSE_NODISCARD enum terse_err terse_schema_new(struct terse_schema **out);
/* Frees it; NULL is fine. Nothing made from it may be left. */
void terse_schema_free(struct terse_schema *schema);

/* ---- strings and buffers ------------------------------------------------ */

/* Borrowed bytes, not terminated. p may be NULL where n is 0. */
struct terse_str {
    const char *p;
    size_t n;
};

/* Whether it is that text. */
static inline bool terse_str_is(struct terse_str s, const char *text) {
    return s.n == strlen(text) && (s.n == 0 || memcmp(s.p, text, s.n) == 0);
}
/* Copies s into out, and terminates it. False: it does not fit, or has a NUL in
 * it; out is as it was. */
bool terse_str_copy(struct terse_str s, char *out, size_t size);

/* A growing buffer with a cap. `data + off` is the first byte of `len`. */
struct terse_buf {
    uint8_t *data;
    size_t off, len, cap;
    size_t max; /* len never exceeds it */
};

/* Starts empty; holds at most `max` bytes, allocates nothing yet. */
void terse_buf_init(struct terse_buf *buf, size_t max);
/* Frees what it holds and makes it empty; the cap stays. */
void terse_buf_fini(struct terse_buf *buf);
/* Empties it and keeps its memory for the next use. */
void terse_buf_reset(struct terse_buf *buf);
/* Appends n bytes. TERSE_ENOMEM, or TERSE_ELIMIT over max; unchanged then. */
TERSE_NODISCARD enum terse_err terse_buf_append(struct terse_buf *buf,
                                                const void *p, size_t n);

static inline const uint8_t *terse_buf_data(const struct terse_buf *buf) {
    return buf->data ? buf->data + buf->off : NULL;
}

/* ---- reading XML --------------------------------------------------------- */

/* One element as it was read, or a run of text. Nodes live until the callback
 * that was given them returns. */
struct terse_node;

struct terse_str terse_node_name(const struct terse_node *node); /* local */
struct terse_str terse_node_ns(const struct terse_node *node);
/* Whether node is the element {ns}name. */
bool terse_node_is(const struct terse_node *node, const char *ns,
                   const char *name);
/* The value of attribute {ns}name ("" = no namespace); false if absent. */
bool terse_node_attr(const struct terse_node *node, const char *ns,
                     const char *name, struct terse_str *out);
/* All of the element's own text, in one piece: false if there is a child or
 * the text is in more than one run; empty if there is none. */
bool terse_node_text(const struct terse_node *node, struct terse_str *out);
/* First child *element*, and the next one after it; NULL at the end. */
struct terse_node *terse_node_child(const struct terse_node *node);
struct terse_node *terse_node_next(const struct terse_node *node);
/* Takes `child` out of `parent`. */
void terse_node_remove(struct terse_node *parent, struct terse_node *child);

/* Reads one direction of an XMPP stream (RFC 6120 section 4): a header, then
 * elements, then a footer. White space between elements is dropped, since it
 * is no part of the stream's content (section 4.6.1). */
struct terse_reader;

enum terse_event {
    TERSE_OPEN,    /* the stream header; node has its name and attributes */
    TERSE_ELEMENT, /* one top-level element, whole */
    TERSE_CLOSE,   /* the stream footer; node is NULL */
    TERSE_REFUSED, /* see terse_reader_spare */
};

/* Called for each event, in order, from within terse_reader_feed. May call
 * terse_reader_restart. Returning anything but TERSE_OK stops the reader for
 * good; feed returns that value. */
typedef enum terse_err (*terse_reader_cb)(void *arg, enum terse_event event,
                                          struct terse_node *node);

TERSE_NODISCARD enum terse_err
terse_reader_new(struct terse_reader **out, const struct terse_schema *schema,
                 const struct terse_limits *limits, terse_reader_cb cb,
                 void *arg);
/* Frees it; NULL is fine. Not from within its callback. */
void terse_reader_free(struct terse_reader *reader);

/* Feeds the next n bytes, split at any point. After an error every further
 * call returns that error, until a restart. Bytes after the footer are
 * TERSE_ESTREAM, but for white space. */
TERSE_NODISCARD enum terse_err terse_reader_feed(struct terse_reader *reader,
                                                 const char *p, size_t n);

/* From the next byte on, a new stream header is expected (RFC 6120 sections
 * 5.4.3.3 and 6.4.6: after <proceed/> and after SASL <success/>). */
void terse_reader_restart(struct terse_reader *reader);

/* From here on, one element that is too large, has too many or too deep
 * elements, too large a text, too many attributes or declarations, or names
 * that may not be, does not end it: what is left of it is stepped over, then
 * the callback has TERSE_REFUSED with a node that is the top-level element
 * without content, of its attributes at most from, to, id and type; and the
 * reader goes on. Within the callback terse_reader_error says why. What is over
 * stanza_bytes by less than 8 KiB may pass. */
void terse_reader_spare(struct terse_reader *reader);

/* A parser is most of what a reader takes. Between two elements it is as good
 * for any other stream of the same schema whose header declares the same
 * prefixes; so readers that rest can lend theirs. */
struct terse_parser;

/* Takes the parser of a reader that is between two elements, and all memory
 * that it does not need there. NULL if it is not, or has none. Not from within
 * its callback. The reader makes itself a new one when it has to. */
struct terse_parser *terse_reader_lend(struct terse_reader *reader);
/* Whether the reader has to have a parser before it can go on, and this one
 * fits. */
bool terse_reader_wants(const struct terse_reader *reader,
                        const struct terse_parser *parser);
/* Takes the parser, which it wants. */
void terse_reader_borrow(struct terse_reader *reader,
                         struct terse_parser *parser);
/* Frees it; NULL is fine. */
void terse_parser_free(struct terse_parser *parser);
/* Bytes that the reader holds for the element at hand: about. */
size_t terse_reader_memory(const struct terse_reader *reader);

/* The error that stopped it; code is TERSE_OK if there was none. Borrowed until
 * the reader is freed or restarted. */
const struct terse_error *terse_reader_error(const struct terse_reader *reader);

/* ---- XML to frame ---------------------------------------------------------
 */

/* Writes the frame of `event` into out (emptied first). node: as the reader's
 * callback got it, NULL for TERSE_CLOSE. On an error out is empty and *error,
 * if not NULL, says what. */
TERSE_NODISCARD enum terse_err terse_encode(const struct terse_schema *schema,
                                            const struct terse_limits *limits,
                                            enum terse_event event,
                                            const struct terse_node *node,
                                            struct terse_buf *out,
                                            struct terse_error *error);

/* ---- frame to XML ---------------------------------------------------------
 */

/* Where the XML will stand. */
enum terse_place {
    TERSE_IN_STREAM,  /* in a stream whose header terse_decode wrote:
                         xmlns='jabber:client', prefix stream declared */
    TERSE_STANDALONE, /* on its own: every namespace is declared in it; a
                         header is written as an empty element */
};

/* Appends the XML of one frame to out: for an Open frame the header with its
 * XML declaration, for a Close frame the footer (nothing if STANDALONE).
 * On an error out is as it was and *error, if not NULL, says what. */
TERSE_NODISCARD enum terse_err terse_decode(const struct terse_schema *schema,
                                            const struct terse_limits *limits,
                                            const void *frame, size_t n,
                                            enum terse_place place,
                                            struct terse_buf *out,
                                            struct terse_error *error);

/* ---- state of a connection (docs/wire.md, "State") ------------------------
 */

/* What one end of a connection remembers of what it sent and what it received,
 * so that frames need not repeat it. All frames of the connection go through
 * it, in order:
 *
 *   terse_encode --terse_peer_pack--> wire --terse_peer_unpack--> terse_decode
 *
 * Frames are the same before and behind, byte for byte. The first header that
 * an end sends says how much it will remember; the other end uses no more. */
struct terse_peer;

/* All zero: remembers nothing. */
struct terse_state_limits {
    uint32_t slots;     /* strings, up to 192 */
    uint32_t templates; /* stanzas, up to 128 */
    uint32_t journal;   /* ids that wait for an answer, up to 46 */
    uint32_t bytes;     /* of all but the journal */
};

/* 48 slots, 64 templates, 32 ids, 20,000 bytes: an end holds 32 KB at most,
 * whatever the other one does. */
extern const struct terse_state_limits terse_state_limits_default;

/* own: bounds at this end: of what the server sends; of what the client sends
 * half of the slots and templates, 3/10 of the bytes, and all of the ids.
 * begins: this end sends the first header (a client); the other kind says its
 * bounds only if it heard some, so that a client that knows nothing of state
 * sees nothing of it. */
TERSE_NODISCARD enum terse_err
terse_peer_new(struct terse_peer **out, const struct terse_schema *schema,
               const struct terse_state_limits *own, bool begins);
/* Frees it; NULL is fine. */
void terse_peer_free(struct terse_peer *peer);

/* The schema revision that both ends know, 1 until the other end has said more:
 * terse_limits.revision for what is encoded for it. */
uint32_t terse_peer_revision(const struct terse_peer *peer);

/* Buffers that pack and unpack work in: nothing in them outlives a call, so one
 * for each thread is enough. */
struct terse_work {
    struct terse_buf a, b, c, d, e;
};
void terse_work_init(struct terse_work *work,
                     const struct terse_limits *limits);
/* For another connection's limits. */
void terse_work_bound(struct terse_work *work,
                      const struct terse_limits *limits);
void terse_work_fini(struct terse_work *work);

/* Sender: makes of a frame that terse_encode wrote what goes on the wire, in
 * out (emptied first). After an error the peer is of no more use. */
TERSE_NODISCARD enum terse_err terse_peer_pack(struct terse_peer *peer,
                                               const void *frame, size_t n,
                                               struct terse_work *work,
                                               struct terse_buf *out);

/* Receiver: the reverse, in out (emptied first). TERSE_EFRAME where the frame
 * names what is not there, TERSE_ELIMIT where it would become too large. After
 * an error the peer is of no more use. */
TERSE_NODISCARD enum terse_err terse_peer_unpack(struct terse_peer *peer,
                                                 const void *frame, size_t n,
                                                 struct terse_work *work,
                                                 struct terse_buf *out);

/* What a frame holds, without decoding it. */
struct terse_frame_info {
    enum terse_event kind;
    struct terse_str name, ns; /* of its element; borrowed from the schema, or
                                  from the frame if generic */
};

/* TERSE_EFRAME if it is not one element, header or footer. Only the outermost
 * fields are looked at: the rest may still be malformed. */
TERSE_NODISCARD enum terse_err
terse_frame_info(const struct terse_schema *schema, const void *frame, size_t n,
                 struct terse_frame_info *info);

/* Copies attribute {ns}name of the frame's element, as characters, into out
 * (emptied first). *found says whether it is there. */
TERSE_NODISCARD enum terse_err
terse_frame_attr(const struct terse_schema *schema, const void *frame, size_t n,
                 const char *ns, const char *name, struct terse_buf *out,
                 bool *found);

/* Whether a frame without state is a message that only says something of a
 * conversation: that somebody writes (XEP-0085), that a message came (XEP-0184)
 * or was read (XEP-0333). Looks at its outermost fields only. */
bool terse_frame_slight(const void *frame, size_t n);

/* What two ends say to each other beside stanzas: numbers of terse.Frame
 * (docs/wire.md, Heartbeats, and What may wait). */
enum {
    TERSE_FIELD_PING = 12,
    TERSE_FIELD_BEAT = 21,
    TERSE_FIELD_WAIT = 23,
    TERSE_FIELD_WAIT_BYTES = 24,
    TERSE_FIELD_MAX = 15, /* bytes of one */
};
/* Writes one such field; how many bytes it took. */
size_t terse_frame_put(uint8_t out[TERSE_FIELD_MAX], uint32_t field,
                       uint64_t value);
/* The number in that field, of several the last; false: there is none. What is
 * malformed ends the search: to refuse it is up to who decodes the frame. */
bool terse_frame_number(const void *frame, size_t n, uint32_t field,
                        uint64_t *value);

/* Prints a frame as a tree for people, one field per line: field, XML item,
 * value, bytes. TERSE_EFRAME where it cannot go on; what came before is there.
 */
TERSE_NODISCARD enum terse_err terse_inspect(const struct terse_schema *schema,
                                             const void *frame, size_t n,
                                             struct terse_buf *out);

#endif
