/*
 * codec.c: how long XML takes to frames and back, beside what libxml2's push
 * parser alone takes for the same XML; how often that asks malloc; and how much
 * a connection remembers. `bench-codec ROUNDS OUT.json RECORDING...`
 *
 * All ways run in one process in turn, round by round, so that whatever else
 * the machine does meets all of them; of times and ratios the medians count.
 * Parsers, peers and headers are not in the times: streams are long.
 */
#include <libxml/parser.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/lib/allocs.h"
#include "bench/lib/corpus.h"
#include "codec/terse.h"

enum { ROUNDS_MAX = 999 };

/* What all ways work with. */
struct bench {
    struct terse_schema *schema;
    struct terse_limits limits;
    struct terse_work work;
    struct terse_buf frame, wire, xml;

    xmlParserCtxtPtr ctxt;
    struct terse_reader *reader;
    struct terse_peer *ends[2]; /* by the direction that each sends in */
    int dir;                    /* of the stream at hand */
    bool with_state;
    struct stream *keep; /* frames and wire go there, if not NULL */
};

static void die(const char *what) {
    fprintf(stderr, "bench-codec: %s\n", what);
    exit(1);
}

static void must(enum terse_err err, const char *what) {
    if (err != TERSE_OK)
        die(what);
}

static struct terse_str str_of_buf(const struct terse_buf *buf) {
    return (struct terse_str){(const char *)terse_buf_data(buf), buf->len};
}

/* ---- the peer: libxml2 with callbacks that do nothing ---------------------
 */

static void no_start(void *arg, const xmlChar *name, const xmlChar *prefix,
                     const xmlChar *ns, int n_ns, const xmlChar **spaces,
                     int n_attrs, int n_defaulted, const xmlChar **attrs) {
    (void)arg, (void)name, (void)prefix, (void)ns, (void)n_ns, (void)spaces;
    (void)n_attrs, (void)n_defaulted, (void)attrs;
}

static void no_end(void *arg, const xmlChar *name, const xmlChar *prefix,
                   const xmlChar *ns) {
    (void)arg, (void)name, (void)prefix, (void)ns;
}

static void no_text(void *arg, const xmlChar *p, int n) {
    (void)arg, (void)p, (void)n;
}

static void parse_begin(struct bench *b, const struct stream *s) {
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .startElementNs = no_start,
                         .endElementNs = no_end,
                         .characters = no_text,
                         .ignorableWhitespace = no_text,
                         .cdataBlock = no_text};
    (void)s;
    b->ctxt = xmlCreatePushParserCtxt(&sax, NULL, NULL, 0, NULL);
    if (!b->ctxt)
        die("no parser");
    xmlCtxtUseOptions(b->ctxt, XML_PARSE_NOENT | XML_PARSE_NONET);
}

static void parse_step(struct bench *b, const struct stream *s, size_t i) {
    if (xmlParseChunk(b->ctxt, s->xml.v[i].p, (int)s->xml.v[i].n, 0) != 0)
        die("libxml2 does not parse a recording");
}

static void parse_end(struct bench *b) {
    xmlFreeParserCtxt(b->ctxt);
    b->ctxt = NULL;
}

/* ---- XML to frame ---------------------------------------------------------
 */

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct bench *b = arg;
    enum terse_err err =
        terse_encode(b->schema, &b->limits, event, node, &b->frame, NULL);
    if (err == TERSE_OK && b->with_state && event != TERSE_OPEN)
        err = terse_peer_pack(b->ends[b->dir], terse_buf_data(&b->frame),
                              b->frame.len, &b->work, &b->wire);
    if (err == TERSE_OK && b->keep) {
        strs_add(&b->keep->frames, terse_buf_data(&b->frame), b->frame.len);
        strs_add(&b->keep->wire, terse_buf_data(&b->wire), b->wire.len);
    }
    return err;
}

static void encode_begin(struct bench *b, const struct stream *s) {
    (void)s;
    b->with_state = false;
    must(terse_reader_new(&b->reader, b->schema, &b->limits, on_event, b),
         "no reader");
}

static void encode_step(struct bench *b, const struct stream *s, size_t i) {
    must(terse_reader_feed(b->reader, s->xml.v[i].p, s->xml.v[i].n),
         "a recording is not read");
}

static void encode_end(struct bench *b) {
    terse_reader_free(b->reader);
    b->reader = NULL;
}

/* ---- state ----------------------------------------------------------------
 */

/* end: which of them owns what it asks malloc for, less buffers that already
 * have some bytes. */
static void end_pack(struct bench *b, int end, struct terse_str frame) {
    allocs_own((unsigned)end + 1);
    must(terse_peer_pack(b->ends[end], frame.p, frame.n, &b->work, &b->wire),
         "pack");
    allocs_own(0);
}

static void end_unpack(struct bench *b, int end, struct terse_str wire) {
    allocs_own((unsigned)end + 1);
    must(terse_peer_unpack(b->ends[end], wire.p, wire.n, &b->work, &b->frame),
         "unpack");
    allocs_own(0);
}

static void peers_free(struct bench *b) {
    for (int end = 0; end < 2; end++) {
        terse_peer_free(b->ends[end]);
        b->ends[end] = NULL;
    }
}

/* Two ends that have told each other their bounds, beside empty headers. */
static void peers_new(struct bench *b) {
    /* Frame.open with `to`, as in the recordings */
    static const char open[] = "\x6a\x10\x0a\x0eim.example.net";
    struct terse_str header = {open, sizeof(open) - 1};
    for (int end = 0; end < 2; end++) {
        allocs_own((unsigned)end + 1);
        must(terse_peer_new(&b->ends[end], b->schema,
                            &terse_state_limits_default, end == 0),
             "no peer");
        allocs_own(0);
    }
    for (int end = 0; end < 2; end++) {
        end_pack(b, end, header);
        struct terse_buf wire = b->wire; /* b->frame is not it */
        end_unpack(b, !end, str_of_buf(&wire));
    }
}

static void pack_begin(struct bench *b, const struct stream *s) {
    encode_begin(b, s);
    b->with_state = true;
    peers_new(b);
}

static void pack_end(struct bench *b) {
    encode_end(b);
    peers_free(b);
}

/* ---- frame to XML ---------------------------------------------------------
 */

static void decode(struct bench *b, struct terse_str frame) {
    terse_buf_reset(&b->xml);
    must(terse_decode(b->schema, &b->limits, frame.p, frame.n, TERSE_IN_STREAM,
                      &b->xml, NULL),
         "decode");
}

static void decode_begin(struct bench *b, const struct stream *s) {
    (void)b, (void)s;
}

static void decode_step(struct bench *b, const struct stream *s, size_t i) {
    decode(b, s->frames.v[i]);
}

static void decode_end(struct bench *b) { (void)b; }

static void unpack_begin(struct bench *b, const struct stream *s) {
    (void)s;
    peers_new(b);
}

static void unpack_step(struct bench *b, const struct stream *s, size_t i) {
    if (i == 0)
        return; /* the header: peers_new did that */
    must(terse_peer_unpack(b->ends[!b->dir], s->wire.v[i].p, s->wire.v[i].n,
                           &b->work, &b->frame),
         "unpack");
    decode(b, str_of_buf(&b->frame));
}

/* ---- all of it ------------------------------------------------------------
 */

struct way {
    const char *name, *key;
    void (*begin)(struct bench *b, const struct stream *s);
    void (*step)(struct bench *b, const struct stream *s, size_t i);
    void (*end)(struct bench *b);
};

static const struct way ways[] = {
    {"libxml2, empty callbacks", NULL, parse_begin, parse_step, parse_end},
    {"XML to frame", "encode_vs_libxml2", encode_begin, encode_step,
     encode_end},
    {"XML to frame, state", "encode_state_vs_libxml2", pack_begin, encode_step,
     pack_end},
    {"frame to XML", "decode_vs_libxml2", decode_begin, decode_step,
     decode_end},
    {"frame to XML, state", "decode_state_vs_libxml2", unpack_begin,
     unpack_step, peers_free},
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

struct result {
    double ns[ROUNDS_MAX], ratio[ROUNDS_MAX];
    unsigned long calls; /* of malloc, in the last round */
};

/* Of this process alone: other builds may want the processor too. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Runs one way over all streams; returns the time behind the headers. */
static double run(struct bench *b, const struct way *way,
                  const struct corpus *corpus, unsigned long *calls) {
    double ns = 0;
    *calls = 0;
    for (size_t i = 0; i < 2 * corpus->n; i++) {
        const struct stream *s = &corpus->sessions[i / 2].dir[i % 2];
        if (s->xml.n == 0)
            continue;
        b->dir = (int)(i % 2);
        way->begin(b, s);
        way->step(b, s, 0);
        unsigned long calls_before = allocs_calls();
        double start = now();
        for (size_t j = 1; j < s->xml.n; j++)
            way->step(b, s, j);
        ns += now() - start;
        *calls += allocs_calls() - calls_before;
        way->end(b);
    }
    return ns;
}

/* Makes the frames that are decoded later: one for each piece of XML. */
static void make_frames(struct bench *b, struct corpus *corpus) {
    for (size_t i = 0; i < 2 * corpus->n; i++) {
        struct stream *s = &corpus->sessions[i / 2].dir[i % 2];
        if (s->xml.n == 0)
            continue;
        b->dir = (int)(i % 2);
        b->keep = s;
        pack_begin(b, s);
        for (size_t j = 0; j < s->xml.n; j++)
            encode_step(b, s, j);
        pack_end(b);
        b->keep = NULL;
        if (s->frames.n != s->xml.n)
            die("a line of a recording is not one element");
    }
}

/* ---- memory ---------------------------------------------------------------
 */

struct memory {
    size_t after_chat, max; /* of one end's state, in bytes */
    size_t reader;          /* of a reader between two elements */
};

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Replays a connection in its order, both directions, through both ends. */
static void replay(struct bench *b, const struct session *s, struct memory *m) {
    size_t at[2] = {1, 1};
    peers_new(b);
    for (size_t i = 0; i < s->order.n; i++) {
        int d = (int)s->order.v[i].n;
        end_pack(b, d, s->dir[d].frames.v[at[d]++]);
        struct terse_buf wire = b->wire; /* with both directions in it */
        end_unpack(b, !d, str_of_buf(&wire));
        m->max = larger(m->max, larger(allocs_bytes(1), allocs_bytes(2)));
    }
    size_t now_has = larger(allocs_bytes(1), allocs_bytes(2));
    if (s->last && strstr(s->name, "_chat."))
        m->after_chat = larger(m->after_chat, now_has);
    peers_free(b);
    if (allocs_bytes(1) + allocs_bytes(2) != 0 || allocs_lost())
        die("blocks of memory are not accounted for");
}

/* What a reader holds when it has read a connection's larger direction. */
static void weigh_reader(struct bench *b, const struct session *s,
                         struct memory *m) {
    const struct stream *in = &s->dir[1];
    if (in->xml.n == 0)
        return;
    encode_begin(b, in); /* the struct itself is some hundred bytes */
    allocs_own(3);
    for (size_t i = 0; i + 1 < in->xml.n; i++)
        encode_step(b, in, i);
    allocs_own(0);
    m->reader = larger(m->reader, allocs_bytes(3));
    encode_end(b);
}

static struct memory weigh(struct bench *b, const struct corpus *corpus) {
    struct memory m = {0};
    for (size_t i = 0; i < corpus->n; i++) {
        replay(b, &corpus->sessions[i], &m);
        weigh_reader(b, &corpus->sessions[i], &m);
    }
    return m;
}

/* ---- output ---------------------------------------------------------------
 */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof(*v), by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void put(json_t *out, const char *key, json_t *value) {
    if (json_object_set_new(out, key, value) != 0)
        die("out of memory");
}

static void print_ways(const struct corpus *corpus, struct result *results,
                       int rounds, json_t *out) {
    double n = (double)corpus->elements;
    printf("%-26s %10s %9s %9s %15s\n", "", "ns/element", "MB/s", "x libxml2",
           "mallocs/element");
    for (int w = 0; w < WAYS; w++) {
        double ns = median(results[w].ns, rounds);
        double ratio = median(results[w].ratio, rounds);
        double calls = (double)results[w].calls / n;
        printf("%-26s %10.0f %9.1f %9.2f %15.2f\n", ways[w].name, ns / n,
               (double)corpus->xml_bytes / ns * 1e3, ratio, calls);
        if (!ways[w].key)
            put(out, "libxml2_ns_per_element", json_real(ns / n));
        else
            put(out, ways[w].key, json_real(ratio));
    }
}

static void print_memory(const struct memory *m, json_t *out) {
    printf("state of a connection at one end: %zu bytes after the chats, %zu "
           "at most;\nits XML reader with libxml2's: %zu at most between "
           "elements\n",
           m->after_chat, m->max, m->reader);
    put(out, "state_bytes_after_chat", json_integer((json_int_t)m->after_chat));
    put(out, "state_bytes_max", json_integer((json_int_t)m->max));
    put(out, "reader_bytes_max", json_integer((json_int_t)m->reader));
}

/* Gives every buffer some bytes, so that none of them is asked for while an
 * end of a connection owns what is. */
static void init(struct bench *b) {
    memset(b, 0, sizeof(*b));
    b->limits = terse_limits_default;
    b->limits.revision = UINT32_MAX; /* both ends have the same schemas */
    must(terse_schema_new(&b->schema), "no schema");
    terse_work_init(&b->work, &b->limits);
    terse_buf_init(&b->frame, b->limits.frame_bytes);
    terse_buf_init(&b->wire, b->limits.frame_bytes);
    terse_buf_init(&b->xml, b->limits.stanza_bytes);
    struct terse_buf *all[] = {&b->work.a, &b->work.b, &b->work.c, &b->work.d,
                               &b->work.e, &b->frame,  &b->wire,   &b->xml};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        must(terse_buf_append(all[i], "", 1), "out of memory");
}

static void fini(struct bench *b) {
    terse_work_fini(&b->work);
    terse_buf_fini(&b->frame);
    terse_buf_fini(&b->wire);
    terse_buf_fini(&b->xml);
    terse_schema_free(b->schema);
}

int main(int argc, char **argv) {
    static struct result results[WAYS];
    struct bench b;
    struct corpus corpus;
    int rounds = argc > 3 ? atoi(argv[1]) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        die("usage: bench-codec ROUNDS OUT.json RECORDING...");
    corpus_load(&corpus, argv + 3, argc - 3);
    init(&b);
    make_frames(&b, &corpus);
    for (int r = -1; r < rounds; r++) /* round -1 warms up */
        for (int w = 0; w < WAYS; w++) {
            struct result *to = &results[w];
            double ns = run(&b, &ways[w], &corpus, &to->calls);
            to->ns[r < 0 ? 0 : r] = ns;
            to->ratio[r < 0 ? 0 : r] = ns / results[0].ns[r < 0 ? 0 : r];
        }
    json_t *out = json_object();
    printf("%zu elements, %zu bytes of XML, %d rounds\n", corpus.elements,
           corpus.xml_bytes, rounds);
    print_ways(&corpus, results, rounds, out);
    struct memory memory = weigh(&b, &corpus);
    print_memory(&memory, out);
    if (json_dump_file(out, argv[2], JSON_INDENT(2)) != 0)
        die("cannot write the JSON file");
    json_decref(out);
    fini(&b);
    corpus_free(&corpus);
    return 0;
}
