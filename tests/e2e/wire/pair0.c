/*
 * pair0.c: frames over an ordinary nng pair0 socket; one message is one
 * frame. libterse translates, and protobuf-c, with the published schema, reads
 * every frame a second time: a field it does not know is an error.
 */
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "codec/terse.h"
#include "terse.pb-c.h"
#include "tests/e2e/wire/wire.h"

static nng_socket sock;
static struct terse_schema *schema;
static struct terse_reader *reader; /* of what we send */
static struct terse_buf frame;
static atomic_bool dropped;

static void bad(const char *text) { emit("bad", text, strlen(text)); }

static bool known(const ProtobufCMessage *msg);

/* Whether the messages in the field at `at` have no unknown field. */
static bool known_field(const ProtobufCFieldDescriptor *field, const void *at,
                        const void *quantifier) {
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t *n = quantifier;
        ProtobufCMessage *const *list = *(ProtobufCMessage *const *const *)at;
        for (size_t i = 0; i < *n; i++)
            if (!known(list[i]))
                return false;
        return true;
    }
    const ProtobufCMessage *one = *(ProtobufCMessage *const *)at;
    return !one || known(one);
}

/* Whether msg, and all it holds, has no unknown field. */
static bool known(const ProtobufCMessage *msg) {
    if (msg->n_unknown_fields > 0)
        return false;
    for (unsigned i = 0; i < msg->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];
        const char *base = (const char *)msg;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            *(const uint32_t *)(const void *)(base +
                                              field->quantifier_offset) !=
                field->id)
            continue;
        if (!known_field(field, base + field->offset,
                         base + field->quantifier_offset))
            return false;
    }
    return true;
}

/* A frame must be readable by protobuf-c and the published schema alone. */
static void check(const void *data, size_t n) {
    Terse__Frame *msg = terse__frame__unpack(NULL, n, data);
    if (!msg)
        bad("protobuf-c cannot read a frame");
    else if (!known(&msg->base))
        bad("a frame has a field that the published schema does not know");
    terse__frame__free_unpacked(msg, NULL);
}

static void received(const void *data, size_t n) {
    struct terse_frame_info info;
    struct terse_error error = {0};
    struct terse_buf xml;
    check(data, n);
    terse_buf_init(&xml, 1 << 24);
    if (terse_frame_info(schema, data, n, &info) != TERSE_OK)
        bad("a message is no frame");
    else if (terse_decode(schema, &terse_limits_default, data, n,
                          TERSE_STANDALONE, &xml, &error) != TERSE_OK)
        bad(error.text);
    else
        emit(info.kind == TERSE_OPEN    ? "open"
             : info.kind == TERSE_CLOSE ? "close"
                                        : "in",
             (const char *)terse_buf_data(&xml), xml.len);
    terse_buf_fini(&xml);
}

static void *receiving(void *arg) {
    (void)arg;
    nng_msg *msg;
    while (nng_recvmsg(sock, &msg, 0) == 0) {
        received(nng_msg_body(msg), nng_msg_len(msg));
        nng_msg_free(msg);
    }
    return NULL;
}

/* The peer closed, or we did. */
static void on_pipe_gone(nng_pipe pipe, nng_pipe_ev ev, void *arg) {
    (void)pipe, (void)ev, (void)arg;
    if (!atomic_exchange(&dropped, true))
        emit("gone", "", 0);
}

/* One event of what we send: the frame goes out as one message. */
static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    (void)arg;
    struct terse_error error = {0};
    enum terse_err err = terse_encode(schema, &terse_limits_default, event,
                                      node, &frame, &error);
    if (err != TERSE_OK) {
        bad(error.text);
        return err;
    }
    check(terse_buf_data(&frame), frame.len);
    nng_msg *msg;
    if (nng_msg_alloc(&msg, 0) ||
        nng_msg_append(msg, terse_buf_data(&frame), frame.len))
        return TERSE_ENOMEM;
    int failed = nng_sendmsg(sock, msg, 0);
    if (failed) {
        nng_msg_free(msg);
        if (failed != NNG_ECLOSED) /* we dropped it ourselves */
            bad(nng_strerror(failed));
    }
    return TERSE_OK;
}

static int pair0_dial(const char *address) {
    pthread_t thread;
    nng_dialer dialer;
    terse_buf_init(&frame, 1 << 24);
    if (terse_schema_new(&schema) != TERSE_OK ||
        terse_reader_new(&reader, schema, &terse_limits_default, on_event,
                         NULL) != TERSE_OK)
        return -1;
    if (nng_pair0_open(&sock) ||
        nng_socket_set_size(sock, NNG_OPT_RECVMAXSZ, 1 << 24) ||
        nng_pipe_notify(sock, NNG_PIPE_EV_REM_POST, on_pipe_gone, NULL) ||
        nng_dial(sock, address, &dialer, 0))
        return -1;
    if (pthread_create(&thread, NULL, receiving, NULL))
        return -1;
    return pthread_detach(thread); /* nobody waits for it */
}

static int pair0_send(const char *xml, size_t n) {
    if (terse_reader_feed(reader, xml, n) == TERSE_OK)
        return 0;
    bad(terse_reader_error(reader)->text);
    return -1;
}

static void pair0_restart(void) { terse_reader_restart(reader); }

static void *close_socket(void *arg) {
    (void)arg;
    nng_close(sock);
    return NULL;
}

/* On a thread of its own: nng 1.5.2 may, once in hundreds of times, not come
 * back from closing a socket whose peer is about to go. The pipe is gone all
 * the same, which is what is waited for. */
static void pair0_drop(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, close_socket, NULL) == 0)
        pthread_detach(thread);
}

const struct wire_ops wire_pair0 = {pair0_dial, pair0_send, pair0_restart,
                                    pair0_drop};
