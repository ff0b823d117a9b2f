/*
 * agent_memory.c: see agent_memory.h. The file has a line for the device and
 * one for each domain:
 *
 *   terse-agent 1
 *   device d4565fa7-4d72-4749-b3d3-740edbf87770
 *   domain im.example.net PHN0cmVhbTpmZWF0dXJlcz4…   (base64)
 */
#include "client/agent_memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "bridge/log.h"

#define FIRST_LINE "terse-agent 1"
enum { LINE = 512 + MEMORY_FEATURES * 2 };

struct domain {
    char *name; /* NULL: free */
    char *xml;
    size_t n;
    uint64_t used; /* when, by the count of uses */
};

/* A device's id that is in use. */
struct lease {
    struct lease *next;
    unsigned slot;
    char account[];
};

struct agent_memory {
    pthread_mutex_t lock;
    char *path;
    char device[MEMORY_DEVICE];
    struct domain domains[MEMORY_DOMAINS];
    uint64_t uses;
    struct lease *leases;
};

/* ---- the device
 * ----------------------------------------------------------------- */

/* 16 bytes as a UUID of version 4. */
static void print_uuid(uint8_t b[16], char out[MEMORY_DEVICE]) {
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(out, MEMORY_DEVICE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
             b[11], b[12], b[13], b[14], b[15]);
}

static bool make_device(char out[MEMORY_DEVICE]) {
    uint8_t random[16];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    print_uuid(random, out);
    return true;
}

/* The second device at a time, and so on, have ids made of the first. */
static bool derive(const char *device, unsigned slot, char out[MEMORY_DEVICE]) {
    uint8_t hash[EVP_MAX_MD_SIZE];
    char text[MEMORY_DEVICE + 16];

    if (slot == 0) {
        memcpy(out, device, MEMORY_DEVICE);
        return true;
    }
    snprintf(text, sizeof(text), "%s/%u", device, slot);
    if (!EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL))
        return false;
    print_uuid(hash, out);
    return true;
}

static bool taken(const struct agent_memory *m, const char *account,
                  unsigned slot) {
    const struct lease *lease = m->leases;

    while (lease && (lease->slot != slot || strcmp(lease->account, account)))
        lease = lease->next;
    return lease != NULL;
}

bool memory_take_device(struct agent_memory *m, const char *account,
                        char id[MEMORY_DEVICE], unsigned *slot) {
    struct lease *lease = calloc(1, sizeof(*lease) + strlen(account) + 1);

    if (!lease)
        return false;
    strcpy(lease->account, account);
    pthread_mutex_lock(&m->lock);
    while (taken(m, account, lease->slot))
        lease->slot++;
    *slot = lease->slot;
    lease->next = m->leases;
    m->leases = lease;
    pthread_mutex_unlock(&m->lock);
    if (derive(m->device, *slot, id))
        return true;
    memory_give_device(m, account, *slot);
    return false;
}

void memory_give_device(struct agent_memory *m, const char *account,
                        unsigned slot) {
    struct lease **at, *lease;

    pthread_mutex_lock(&m->lock);
    at = &m->leases;
    while (*at && ((*at)->slot != slot || strcmp((*at)->account, account)))
        at = &(*at)->next;
    lease = *at;
    if (lease)
        *at = lease->next;
    pthread_mutex_unlock(&m->lock);
    free(lease);
}

/* ---- features
 * ------------------------------------------------------------------- */

static void clear(struct domain *d) {
    free(d->name);
    free(d->xml);
    memset(d, 0, sizeof(*d));
}

static struct domain *find(struct agent_memory *m, const char *name) {
    for (size_t i = 0; i < MEMORY_DOMAINS; i++)
        if (m->domains[i].name && strcasecmp(m->domains[i].name, name) == 0)
            return &m->domains[i];
    return NULL;
}

/* A free place, or that of the one that was used longest ago. */
static struct domain *place(struct agent_memory *m) {
    struct domain *oldest = &m->domains[0];

    for (size_t i = 0; i < MEMORY_DOMAINS; i++)
        if (m->domains[i].used < oldest->used)
            oldest = &m->domains[i];
    clear(oldest);
    return oldest;
}

/* True if that is news. */
static bool put(struct agent_memory *m, const char *name, const char *xml,
                size_t n) {
    struct domain *d = find(m, name);

    if (d && d->n == n && memcmp(d->xml, xml, n) == 0) {
        d->used = ++m->uses;
        return false;
    }
    if (d)
        clear(d);
    else
        d = place(m);
    d->name = strdup(name);
    d->xml = malloc(n + 1);
    if (!d->name || !d->xml) {
        clear(d);
        return true;
    }
    memcpy(d->xml, xml, n);
    d->xml[n] = '\0';
    d->n = n;
    d->used = ++m->uses;
    return true;
}

/* ---- the file
 * ------------------------------------------------------------------- */

static bool is_name(const char *s) {
    return *s && strlen(s) < 256 && !strpbrk(s, " \t\r\n");
}

static void write_lines(const struct agent_memory *m, FILE *f) {
    unsigned char *text = malloc(MEMORY_FEATURES * 2);

    fprintf(f, FIRST_LINE "\ndevice %s\n", m->device);
    for (size_t i = 0; text && i < MEMORY_DOMAINS; i++) {
        const struct domain *d = &m->domains[i];

        if (!d->name)
            continue;
        EVP_EncodeBlock(text, (const unsigned char *)d->xml, (int)d->n);
        fprintf(f, "domain %s %s\n", d->name, (const char *)text);
    }
    free(text);
}

/* Writes it beside, so that it is there whole or not at all. */
static void save(const struct agent_memory *m) {
    char beside[4096];
    FILE *f;
    int fd, bad;

    if (!m->path || snprintf(beside, sizeof(beside), "%s.new", m->path) >=
                        (int)sizeof(beside))
        return;
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f) {
        write_lines(m, f);
        bad = ferror(f);
        if (!fclose(f) && !bad && !rename(beside, m->path))
            return;
        unlink(beside);
    } else if (fd >= 0) {
        close(fd);
    }
    log_event(LOG_WARN, 0, "state-not-written", "file", m->path, NULL);
}

/* It goes to the client as it is. */
static bool is_features(const char *xml, size_t n) {
    static const char start[] = "<stream:features";

    return n > sizeof(start) && memcmp(xml, start, sizeof(start) - 1) == 0 &&
           xml[n - 1] == '>' && !memchr(xml, 0, n);
}

/* One line without its end. */
static void read_domain(struct agent_memory *m, char *line) {
    char *space = strchr(line, ' '), *xml;
    size_t n = space ? strlen(space + 1) : 0;
    int len;

    if (!space || n == 0 || n % 4 || n / 4 * 3 > MEMORY_FEATURES)
        return;
    *space = '\0';
    xml = malloc(n);
    len = xml ? EVP_DecodeBlock((unsigned char *)xml,
                                (const unsigned char *)space + 1, (int)n)
              : -1;
    for (size_t i = n; len > 0 && i > n - 2 && space[i] == '='; i--)
        len--;
    if (len > 0 && is_name(line) && is_features(xml, (size_t)len))
        put(m, line, xml, (size_t)len);
    free(xml);
}

static bool is_uuid(const char *s) {
    return strlen(s) == 36 && strspn(s, "0123456789abcdef-") == 36;
}

static void load(struct agent_memory *m) {
    FILE *f = fopen(m->path, "re");
    char *line = f ? malloc(LINE) : NULL;
    bool first = true;

    while (line && fgets(line, LINE, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (first && strcmp(line, FIRST_LINE) != 0) {
            log_event(LOG_WARN, 0, "state-not-read", "file", m->path, NULL);
            break;
        }
        first = false;
        if (strncmp(line, "device ", 7) == 0 && is_uuid(line + 7))
            memcpy(m->device, line + 7, 37);
        else if (strncmp(line, "domain ", 7) == 0)
            read_domain(m, line + 7);
    }
    free(line);
    if (f)
        fclose(f);
}

/* ---- life
 * ----------------------------------------------------------------------- */

struct agent_memory *memory_new(const char *path) {
    struct agent_memory *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    pthread_mutex_init(&m->lock, NULL);
    m->path = path ? strdup(path) : NULL;
    if ((path && !m->path) || !make_device(m->device)) {
        memory_free(m);
        return NULL;
    }
    if (m->path) {
        load(m);
        save(m);
    }
    return m;
}

void memory_free(struct agent_memory *m) {
    if (!m)
        return;
    for (size_t i = 0; i < MEMORY_DOMAINS; i++)
        clear(&m->domains[i]);
    while (m->leases) {
        struct lease *lease = m->leases;

        m->leases = lease->next;
        free(lease);
    }
    pthread_mutex_destroy(&m->lock);
    free(m->path);
    free(m);
}

bool memory_recall(struct agent_memory *m, const char *domain,
                   struct terse_buf *xml) {
    struct domain *d;
    bool known;

    pthread_mutex_lock(&m->lock);
    d = find(m, domain);
    known = d && !terse_buf_append(xml, d->xml, d->n);
    if (known)
        d->used = ++m->uses;
    pthread_mutex_unlock(&m->lock);
    return known;
}

void memory_learn(struct agent_memory *m, const char *domain, const char *xml,
                  size_t n) {
    if (!is_name(domain) || n == 0 || n > MEMORY_FEATURES)
        return;
    pthread_mutex_lock(&m->lock);
    if (put(m, domain, xml, n))
        save(m);
    pthread_mutex_unlock(&m->lock);
}

void memory_forget(struct agent_memory *m, const char *domain) {
    struct domain *d;

    pthread_mutex_lock(&m->lock);
    d = find(m, domain);
    if (d) {
        clear(d);
        save(m);
    }
    pthread_mutex_unlock(&m->lock);
}
