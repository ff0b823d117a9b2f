/* codec_corpus.c: see codec_corpus.h. */
#include "tests/unit/codec_corpus.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

static const char folder[] = "tests/corpus";

static void put(struct terse_buf *out, const char *s) {
    if (terse_buf_append(out, s, strlen(s)) != TERSE_OK)
        abort();
}

/* The XML of one line, if it is an element of the stream. */
static void take_line(struct terse_buf *out, const char *line, size_t max,
                      unsigned *elements) {
    json_t *record = json_loads(line, 0, NULL);
    const char *kind = json_string_value(json_object_get(record, "kind"));
    const char *xml = json_string_value(json_object_get(record, "xml"));
    if (kind && xml && xml[0] == '<' && strncmp(kind, "stream-", 7) != 0 &&
        out->len + strlen(xml) < max) {
        put(out, xml);
        (*elements)++;
    }
    json_decref(record);
}

static void take_file(struct terse_buf *out, const char *name, size_t max,
                      unsigned *elements) {
    char path[512];
    size_t n;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    char *text = codec_slurp(path, &n), *save = NULL;
    if (!text)
        return;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        take_line(out, line, max, elements);
    free(text);
}

void codec_corpus(struct terse_buf *out, size_t max, unsigned *elements) {
    struct dirent **names;
    *elements = 0;
    terse_buf_init(out, SIZE_MAX / 4);
    int n = scandir(folder, &names, NULL, alphasort);
    if (n < 0)
        return;
    put(out, CODEC_HEADER);
    for (int i = 0; i < n; i++) {
        if (strstr(names[i]->d_name, ".jsonl"))
            take_file(out, names[i]->d_name, max, elements);
        free(names[i]);
    }
    free(names);
}
