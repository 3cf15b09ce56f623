// A policy in C: the node that the header `x-node` names serves; without one, the less busy of two random nodes.
//
// balancer_plugin.h is generated from the contract (plugin-sdk/wit/bascule.wit): see README.md.

#include "balancer_plugin.h"

typedef bascule_plugin_nodes_load_t load;

static exports_bascule_plugin_balancer_choice_t node(uint32_t index) {
    return (exports_bascule_plugin_balancer_choice_t){
        .tag = EXPORTS_BASCULE_PLUGIN_BALANCER_CHOICE_NODE,
        .val.node = index,
    };
}

// Whether `a` has less in flight for its weight. The products of 32 bits fit in 64.
static bool less_busy(const load *a, const load *b) {
    return (a->in_flight + 1ull) * b->weight < (b->in_flight + 1ull) * a->weight;
}

// The index of the node that the request asks for by its id.
static bool wanted(uint32_t *index) {
    balancer_plugin_string_t name, id;
    balancer_plugin_list_u8_t value;
    balancer_plugin_string_set(&name, "x-node");
    if (!bascule_plugin_request_header(&name, &value)) return false;
    // A string is UTF-8, a header's value is any bytes: what is no plain ASCII is no node's id here.
    bool plain = true;
    for (size_t i = 0; i < value.len; i++) plain = plain && value.ptr[i] < 0x80;
    id = (balancer_plugin_string_t){ value.ptr, value.len };
    bool found = plain && bascule_plugin_nodes_find(&id, index);
    balancer_plugin_list_u8_free(&value);
    return found;
}

void exports_bascule_plugin_balancer_pick(exports_bascule_plugin_balancer_choice_t *choice) {
    uint32_t index;
    bascule_plugin_nodes_tuple2_load_load_t two;
    if (wanted(&index)) {
        *choice = node(index);
    } else if (bascule_plugin_nodes_two_random(&two)) {
        *choice = node(less_busy(&two.f1, &two.f0) ? two.f1.node : two.f0.node);
    } else {
        choice->tag = EXPORTS_BASCULE_PLUGIN_BALANCER_CHOICE_ABSTAIN;
    }
}
