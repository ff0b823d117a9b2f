/* owner.c: owners and the names of errors. */
#include "net/io.h"

#include <stdlib.h>

const char *net_strerror(enum net_err err) {
    static const char *const names[] = {
        [NET_OK] = "no error",
        [NET_ENOMEM] = "out of memory",
        [NET_EARG] = "not an address",
        [NET_EEOF] = "closed by the peer",
        [NET_ECLOSED] = "connection lost",
        [NET_ETIMEOUT] = "timed out",
        [NET_EREFUSED] = "connection refused",
        [NET_EDNS] = "name not found",
        [NET_EINUSE] = "address not available",
        [NET_EFULL] = "write queue full",
        [NET_ETLS] = "TLS failed",
        [NET_ECERT] = "certificate not trusted",
        [NET_EFRAMING] = "malformed framing",
        [NET_ELIMIT] = "frame too long",
    };

    return names[err];
}

enum net_err net_owner_init(struct net_owner *owner,
                            void (*fini)(struct net_owner *)) {
    if (pthread_mutex_init(&owner->lock, NULL))
        return NET_ENOMEM;
    atomic_init(&owner->refs, 1);
    owner->fini = fini;
    return NET_OK;
}

void net_owner_fini(struct net_owner *owner) {
    pthread_mutex_destroy(&owner->lock);
}

void net_owner_hold(struct net_owner *owner) {
    atomic_fetch_add_explicit(&owner->refs, 1, memory_order_relaxed);
}

bool net_owner_try_hold(struct net_owner *owner) {
    unsigned refs = atomic_load_explicit(&owner->refs, memory_order_relaxed);

    while (refs && !atomic_compare_exchange_weak(&owner->refs, &refs, refs + 1))
        ;
    return refs > 0;
}

void net_owner_rele(struct net_owner *owner) {
    if (atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) == 1)
        owner->fini(owner);
}

void net_owner_rele_locked(struct net_owner *owner) {
    if (atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) == 1)
        abort();
}

/* The lock is never contended by its own thread and never left locked: an error
 * here is a bug of ours. */
void net_lock(struct net_owner *owner) { net_mutex_lock(&owner->lock); }

void net_unlock(struct net_owner *owner) { net_mutex_unlock(&owner->lock); }
