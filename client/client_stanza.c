/* client_stanza.c: one element received. Everything but the frame is made when
 * it is first asked for. */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

struct attr {
    struct attr *next;
    char *name;
    char *value; /* NULL: not there */
};

struct terse_stanza {
    struct client_codec *codec;
    Terse__Frame *typed;
    struct terse_buf xml; /* with a NUL after it */
    bool sound;           /* xml is there, so the frame is within the limits */
    struct attr *attrs;
    char *name, *ns;
    char condition[64];
    size_t n;
    uint8_t frame[];
};

struct terse_stanza *client_stanza_new(struct client_codec *codec,
                                       const uint8_t *frame, size_t n) {
    struct terse_stanza *stanza = calloc(1, sizeof(*stanza) + n);

    if (!stanza)
        return NULL;
    atomic_fetch_add(&codec->refs, 1);
    stanza->codec = codec;
    stanza->n = n;
    memcpy(stanza->frame, frame, n);
    terse_buf_init(&stanza->xml, (size_t)codec->limits.stanza_bytes + 1);
    return stanza;
}

void terse_stanza_free(struct terse_stanza *stanza) {
    struct attr *attr;

    if (!stanza)
        return;
    while ((attr = stanza->attrs)) {
        stanza->attrs = attr->next;
        free(attr->name);
        free(attr->value);
        free(attr);
    }
    if (stanza->typed)
        terse__frame__free_unpacked(stanza->typed, NULL);
    terse_buf_fini(&stanza->xml);
    free(stanza->name);
    free(stanza->ns);
    client_codec_rele(stanza->codec);
    free(stanza);
}

const uint8_t *terse_stanza_frame(const struct terse_stanza *stanza,
                                  size_t *n) {
    *n = stanza->n;
    return stanza->frame;
}

const char *terse_stanza_xml(struct terse_stanza *stanza, size_t *n) {
    const struct client_codec *codec = stanza->codec;

    if (!stanza->sound) {
        terse_buf_reset(&stanza->xml);
        if (terse_decode(codec->schema, &codec->limits, stanza->frame,
                         stanza->n, TERSE_STANDALONE, &stanza->xml, NULL) ||
            terse_buf_append(&stanza->xml, "", 1))
            return NULL;
        stanza->sound = true;
    }
    if (n)
        *n = stanza->xml.len - 1;
    return (const char *)terse_buf_data(&stanza->xml);
}

const Terse__Frame *terse_stanza_typed(struct terse_stanza *stanza) {
    struct terse_buf plain;
    const char *xml;
    size_t n;

    if (stanza->typed)
        return stanza->typed;
    /* protobuf-c unpacks by recursion, as deep as the peer has nested it, and
     * gives each empty message a struct: so first see that limits are kept.
     * What came may be packed, so the struct is made anew, of strings. */
    xml = terse_stanza_xml(stanza, &n);
    if (!xml)
        return NULL;
    terse_buf_init(&plain, stanza->codec->limits.frame_bytes);
    if (!client_xml_strings(stanza->codec, xml, n, &plain))
        stanza->typed =
            terse__frame__unpack(NULL, plain.len, terse_buf_data(&plain));
    terse_buf_fini(&plain);
    return stanza->typed;
}

/* The value, or NULL, in *value; false: no memory, or malformed. */
static bool read_attr(const struct terse_stanza *stanza, const char *name,
                      char **value) {
    const struct client_codec *codec = stanza->codec;
    const char *ns = "";
    struct terse_buf buf;
    bool found = false, ok;

    *value = NULL;
    if (strncmp(name, "xml:", 4) == 0) {
        ns = TERSE_NS_XML;
        name += 4;
    }
    terse_buf_init(&buf, codec->limits.stanza_bytes);
    ok = terse_frame_attr(codec->schema, stanza->frame, stanza->n, ns, name,
                          &buf, &found) == TERSE_OK;
    if (ok && found) {
        struct terse_str s = {(const char *)terse_buf_data(&buf), buf.len};

        *value = client_strndup(s);
        ok = *value;
    }
    terse_buf_fini(&buf);
    return ok;
}

const char *terse_stanza_attr(struct terse_stanza *stanza, const char *name) {
    struct attr *attr = stanza->attrs;

    while (attr && strcmp(attr->name, name) != 0)
        attr = attr->next;
    if (attr)
        return attr->value;
    attr = calloc(1, sizeof(*attr));
    if (!attr)
        return NULL;
    attr->name = strdup(name);
    if (!attr->name || !read_attr(stanza, name, &attr->value)) {
        free(attr->name);
        free(attr);
        return NULL;
    }
    attr->next = stanza->attrs;
    stanza->attrs = attr;
    return attr->value;
}

const char *terse_stanza_name(struct terse_stanza *stanza, const char **ns) {
    struct terse_frame_info info;

    if (!stanza->name || !stanza->ns) {
        if (terse_frame_info(stanza->codec->schema, stanza->frame, stanza->n,
                             &info) != TERSE_OK)
            return NULL;
        if (!stanza->name)
            stanza->name = client_strndup(info.name);
        if (!stanza->ns)
            stanza->ns = client_strndup(info.ns);
        if (!stanza->name || !stanza->ns)
            return NULL;
    }
    if (ns)
        *ns = stanza->ns;
    return stanza->name;
}

static void visit(void *arg, struct terse_node *node) {
    struct terse_stanza *stanza = arg;
    struct terse_node *error = phone_child(node, TERSE_NS_CLIENT, "error");
    struct terse_str text;

    if (error)
        client_condition(error, CLIENT_NS_STANZAS, stanza->condition, &text);
}

bool terse_stanza_is_error(struct terse_stanza *stanza,
                           const char **condition) {
    const char *type = terse_stanza_attr(stanza, "type");
    const char *ns, *name = terse_stanza_name(stanza, &ns);

    if (condition)
        *condition = "";
    if (!type || !name || strcmp(type, "error") != 0 ||
        strcmp(ns, TERSE_NS_CLIENT) != 0 ||
        (strcmp(name, "iq") != 0 && strcmp(name, "message") != 0 &&
         strcmp(name, "presence") != 0))
        return false;
    if (!condition)
        return true;
    if (!stanza->condition[0])
        (void)client_xml_visit(stanza->codec, stanza->frame, stanza->n, visit,
                               stanza);
    *condition = stanza->condition;
    return true;
}
