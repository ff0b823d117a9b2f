/* held.c: see held.h. */
#include "proxy/held.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    const char *id;
    struct net_owner *owner;
};

struct held {
    pthread_mutex_t lock;
    struct entry **at;
    size_t places, n; /* places: a power of two */
};

enum { HELD_PLACES = 64 };

struct held *held_new(void) {
    struct held *held = calloc(1, sizeof(*held));

    if (!held)
        return NULL;
    held->places = HELD_PLACES;
    held->at = calloc(held->places, sizeof(struct entry *));
    if (!held->at || pthread_mutex_init(&held->lock, NULL)) {
        free(held->at);
        free(held);
        return NULL;
    }
    return held;
}

void held_free(struct held *held) {
    if (!held)
        return;
    pthread_mutex_destroy(&held->lock);
    free(held->at);
    free(held);
}

/* FNV-1a. Ids are the server's, which no client can choose. */
static size_t place(const struct held *held, const char *id) {
    uint32_t h = 2166136261u;

    for (; *id; id++)
        h = (h ^ (uint8_t)*id) * 16777619u;
    return h & (held->places - 1);
}

static struct entry **find(struct held *held, const char *id) {
    struct entry **e = &held->at[place(held, id)];

    while (*e && strcmp((*e)->id, id) != 0)
        e = &(*e)->next;
    return e;
}

/* More than one for each place: twice as many places, if there is memory. */
static void grow(struct held *held) {
    struct held more = {.places = held->places * 2};

    more.at = calloc(more.places, sizeof(struct entry *));
    if (!more.at)
        return;
    for (size_t i = 0; i < held->places; i++)
        while (held->at[i]) {
            struct entry *e = held->at[i];
            size_t to = place(&more, e->id);

            held->at[i] = e->next;
            e->next = more.at[to];
            more.at[to] = e;
        }
    free(held->at);
    held->at = more.at;
    held->places = more.places;
}

bool held_put(struct held *held, const char *id, struct net_owner *owner) {
    struct entry *entry = calloc(1, sizeof(*entry)), **at, *old;

    if (!entry)
        return false;
    entry->id = id;
    entry->owner = owner;
    pthread_mutex_lock(&held->lock);
    if (held->n >= held->places)
        grow(held);
    at = find(held, id);
    old = *at;
    entry->next = old ? old->next : NULL;
    *at = entry;
    held->n += old ? 0 : 1;
    pthread_mutex_unlock(&held->lock);
    free(old);
    return true;
}

void held_drop(struct held *held, const char *id,
               const struct net_owner *owner) {
    struct entry **at, *gone = NULL;

    pthread_mutex_lock(&held->lock);
    at = find(held, id);
    if (*at && (*at)->owner == owner) {
        gone = *at;
        *at = gone->next;
        held->n--;
    }
    pthread_mutex_unlock(&held->lock);
    free(gone);
}

struct net_owner *held_find(struct held *held, const char *id) {
    struct net_owner *owner = NULL;
    struct entry *entry;

    pthread_mutex_lock(&held->lock);
    entry = *find(held, id);
    if (entry && net_owner_try_hold(entry->owner))
        owner = entry->owner;
    pthread_mutex_unlock(&held->lock);
    return owner;
}
