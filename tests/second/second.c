/*
 * second.c: reads what we write with parsers that share no code with codec/.
 *
 *   second frames IN OUT   IN: frames, each after its length as a varint.
 *                          protobuf-c must read each one without an unknown
 *                          field. OUT: all of them as one message with a
 *                          repeated field 1, for `protoc --decode`.
 *   second trees FILE...   JSON lines {"xml"}: libxml2 and expat must see the
 *                          same tree.
 *
 * Prints how many were read; exit code 1 where one differs.
 */
#include <expat.h>
#include <jansson.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <terse.pb-c.h>

/* A test may stop where memory ends. */
static void *check(void *p) {
    if (!p) {
        fprintf(stderr, "second: out of memory or unreadable\n");
        exit(2);
    }
    return p;
}

/* ---- frames ----------------------------------------------------------------
 */

static const ProtobufCMessage *first_unknown(const ProtobufCMessage *message);

/* The message with an unknown field among the values of a field, or NULL. */
static const ProtobufCMessage *
unknown_in_field(const ProtobufCMessage *message,
                 const ProtobufCFieldDescriptor *field) {
    const char *base = (const char *)message;
    const void *member = base + field->offset;
    const void *quantifier = base + field->quantifier_offset;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return NULL;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        ProtobufCMessage *const *many =
            *(ProtobufCMessage *const *const *)member;
        for (size_t i = 0; i < *(const size_t *)quantifier; i++) {
            const ProtobufCMessage *found = first_unknown(many[i]);
            if (found)
                return found;
        }
        return NULL;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)quantifier != field->id)
        return NULL;
    const ProtobufCMessage *one = *(const ProtobufCMessage *const *)member;
    return one ? first_unknown(one) : NULL;
}

static const ProtobufCMessage *first_unknown(const ProtobufCMessage *message) {
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (message->n_unknown_fields)
        return message;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCMessage *found =
            unknown_in_field(message, &type->fields[i]);
        if (found)
            return found;
    }
    return NULL;
}

/* Reads frame number n; says what is wrong with it. */
static bool frame_ok(const uint8_t *p, size_t size, unsigned long n) {
    Terse__Frame *frame = terse__frame__unpack(NULL, size, p);
    if (!frame) {
        printf("frame %lu: protobuf-c cannot read it\n", n);
        return false;
    }
    const ProtobufCMessage *found = first_unknown(&frame->base);
    if (found)
        printf("frame %lu: field %u of %s is unknown\n", n,
               found->unknown_fields[0].tag, found->descriptor->name);
    terse__frame__free_unpacked(frame, NULL);
    return !found;
}

/* Reads a varint of a size; false at the end of the file. */
static bool read_size(FILE *in, size_t *out) {
    int c;
    *out = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if ((c = fgetc(in)) == EOF)
            return false;
        *out |= (size_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return true;
    }
    return false;
}

static void write_field(FILE *out, const uint8_t *p, size_t n) {
    size_t left = n;
    fputc(0x0a, out); /* field 1, told by its length */
    for (; left >= 0x80; left >>= 7)
        fputc((int)(left & 0x7f) | 0x80, out);
    fputc((int)left, out);
    fwrite(p, 1, n, out);
}

static int frames(const char *in_path, const char *out_path) {
    FILE *in = check(fopen(in_path, "rb")), *out = check(fopen(out_path, "wb"));
    unsigned long n = 0, bad = 0;
    size_t size;
    while (read_size(in, &size)) {
        uint8_t *p = check(malloc(size ? size : 1));
        n++;
        if (fread(p, 1, size, in) != size || !frame_ok(p, size, n))
            bad++;
        write_field(out, p, size);
        free(p);
    }
    fclose(in);
    if (fclose(out) != 0)
        bad++;
    printf("%lu frames read by protobuf-c, %lu with a fault\n", n, bad);
    return bad || n == 0;
}

/* ---- trees ------------------------------------------------------------------
 */

/* A tree as text: "(ns|name", then its attributes in order of their bytes,
 * then runs of text and children, then ")". */
struct dump {
    FILE *file;
    char *p;
    size_t n;
    char *text; /* of the run that is not yet written */
    size_t text_n;
};

static void dump_start(struct dump *dump) {
    memset(dump, 0, sizeof(*dump));
    dump->file = check(open_memstream(&dump->p, &dump->n));
}

static void dump_text(struct dump *dump, const char *p, size_t n) {
    if (n == 0)
        return;
    dump->text = check(realloc(dump->text, dump->text_n + n));
    memcpy(dump->text + dump->text_n, p, n);
    dump->text_n += n;
}

static void dump_flush(struct dump *dump) {
    if (dump->text_n) {
        fprintf(dump->file, "T%zu:", dump->text_n);
        fwrite(dump->text, 1, dump->text_n, dump->file);
        fputc('\n', dump->file);
    }
    dump->text_n = 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Writes n attributes, each "ns|name=value", sorted; frees them. */
static void dump_attributes(struct dump *dump, char **attributes, size_t n) {
    if (n)
        qsort(attributes, n, sizeof(*attributes), by_text);
    for (size_t i = 0; i < n; i++) {
        fprintf(dump->file, "A%s\n", attributes[i]);
        free(attributes[i]);
    }
    free(attributes);
}

static char *attribute(const char *ns, const char *name, const char *value) {
    char *s = NULL;
    if (asprintf(&s, "%s|%s=%s", ns, name, value) < 0)
        check(NULL);
    return s;
}

static const char *href(const xmlNs *ns) {
    return ns && ns->href ? (const char *)ns->href : "";
}

static void libxml_start(struct dump *dump, const xmlNode *node) {
    char **attributes = NULL;
    size_t n = 0;
    dump_flush(dump);
    fprintf(dump->file, "(%s|%s\n", href(node->ns), (const char *)node->name);
    for (xmlAttr *a = node->properties; a; a = a->next) {
        xmlChar *value = xmlNodeListGetString(a->doc, a->children, 1);
        attributes = check(realloc(attributes, (n + 1) * sizeof(*attributes)));
        attributes[n++] = attribute(href(a->ns), (const char *)a->name,
                                    value ? (const char *)value : "");
        xmlFree(value);
    }
    dump_attributes(dump, attributes, n);
}

static void libxml_walk(struct dump *dump, const xmlNode *root) {
    const xmlNode *node = root;
    while (node) {
        if (node->type == XML_ELEMENT_NODE)
            libxml_start(dump, node);
        else if (node->content)
            dump_text(dump, (const char *)node->content,
                      strlen((const char *)node->content));
        if (node->type == XML_ELEMENT_NODE && node->children) {
            node = node->children;
            continue;
        }
        for (;;) {
            if (node->type == XML_ELEMENT_NODE) {
                dump_flush(dump);
                fputs(")\n", dump->file);
            }
            if (node == root)
                return;
            if (node->next)
                break;
            node = node->parent;
        }
        node = node->next;
    }
}

static bool libxml_dump(struct dump *dump, const char *xml, size_t n) {
    xmlDocPtr doc = xmlReadMemory(xml, (int)n, NULL, "UTF-8",
                                  XML_PARSE_NONET | XML_PARSE_NOERROR |
                                      XML_PARSE_NOWARNING | XML_PARSE_HUGE);
    if (!doc)
        return false;
    libxml_walk(dump, xmlDocGetRootElement(doc));
    xmlFreeDoc(doc);
    return true;
}

/* Splits expat's "ns local" in place; *ns is "" where there is none. */
static const char *split(char *name, const char **ns) {
    char *space = strrchr(name, ' ');
    *ns = space ? name : "";
    if (!space)
        return name;
    *space = '\0';
    return space + 1;
}

static void expat_start(void *arg, const XML_Char *name,
                        const XML_Char **pairs) {
    struct dump *dump = arg;
    char **attributes = NULL, *copy = check(strdup(name));
    const char *ns, *local = split(copy, &ns);
    size_t n = 0;
    dump_flush(dump);
    fprintf(dump->file, "(%s|%s\n", ns, local);
    free(copy);
    for (; *pairs; pairs += 2) {
        copy = check(strdup(pairs[0]));
        local = split(copy, &ns);
        attributes = check(realloc(attributes, (n + 1) * sizeof(*attributes)));
        attributes[n++] = attribute(ns, local, pairs[1]);
        free(copy);
    }
    dump_attributes(dump, attributes, n);
}

static void expat_end(void *arg, const XML_Char *name) {
    struct dump *dump = arg;
    (void)name;
    dump_flush(dump);
    fputs(")\n", dump->file);
}

static void expat_text(void *arg, const XML_Char *p, int n) {
    dump_text(arg, p, (size_t)n);
}

static bool expat_dump(struct dump *dump, const char *xml, size_t n) {
    XML_Parser parser = check(XML_ParserCreateNS("UTF-8", ' '));
    XML_SetUserData(parser, dump);
    XML_SetElementHandler(parser, expat_start, expat_end);
    XML_SetCharacterDataHandler(parser, expat_text);
    bool ok = XML_Parse(parser, xml, (int)n, 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return ok;
}

static bool same_tree(const char *xml, size_t n) {
    struct dump a, b;
    dump_start(&a);
    dump_start(&b);
    bool ok = libxml_dump(&a, xml, n) && expat_dump(&b, xml, n);
    fclose(a.file);
    fclose(b.file);
    ok = ok && a.n > 0 && a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
    if (!ok)
        printf("libxml2 sees\n%sexpat sees\n%sin\n%s\n", a.p, b.p, xml);
    free(a.p);
    free(a.text);
    free(b.p);
    free(b.text);
    return ok;
}

static int trees(char **paths, int n_paths) {
    unsigned long n = 0, bad = 0;
    for (int i = 0; i < n_paths; i++) {
        FILE *in = check(fopen(paths[i], "rb"));
        char *line = NULL;
        size_t cap = 0;
        ssize_t len;
        while ((len = getline(&line, &cap, in)) > 0) {
            json_t *root = check(json_loadb(line, (size_t)len, 0, NULL));
            json_t *xml = json_object_get(root, "xml");
            if (xml) { /* the other lines are {"error"}: refused */
                n++;
                bad +=
                    !same_tree(json_string_value(xml), json_string_length(xml));
            }
            json_decref(root);
        }
        free(line);
        fclose(in);
    }
    printf("%lu elements, the same tree in libxml2 and expat but for %lu\n", n,
           bad);
    return bad || n == 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "frames") == 0)
        return frames(argv[2], argv[3]);
    if (argc >= 3 && strcmp(argv[1], "trees") == 0)
        return trees(argv + 2, argc - 2);
    fprintf(stderr, "usage: second frames IN OUT | second trees FILE...\n");
    return 2;
}
