// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"strings"
	"sync"
)

// Wrapped once here, so that a flood against a full store costs no allocation.
var (
	errFullSigned   = fmt.Errorf("%w: Config.MaxSigned", ErrFull)
	errFullUnsigned = fmt.Errorf("%w: Config.MaxUnsigned", ErrFull)
	errFullDomain   = fmt.Errorf("%w: Config.MaxPerDomain", ErrFull)
)

// unsignedDomain is the domain of entries that have none.
const unsignedDomain uint32 = 0

// quota counts live claims against the caps. One mutex holds all counts, so that a
// batch is counted whole or not at all and no caller is refused because of what
// another is about to give back. It is a leaf: no other lock is taken under it.
type quota struct {
	mu                                   sync.Mutex
	maxSigned, maxUnsigned, maxPerDomain int
	signed, unsigned                     int
	// ids numbers the trust domains that have signed claims, from 1; domains is indexed
	// by it, and free lists the numbers not in use. Entries hold the number.
	ids     map[string]uint32
	domains []domain
	free    []uint32
}

type domain struct {
	name string
	live int
}

func (q *quota) init(c Config) {
	q.maxSigned, q.maxUnsigned, q.maxPerDomain = c.MaxSigned, c.MaxUnsigned, c.MaxPerDomain
	q.ids = make(map[string]uint32)
	q.domains = make([]domain, 1) // number 0 is unsignedDomain
}

// reserve counts all fresh claims of a batch and notes their domains in items, or it
// counts none and says which cap would be passed.
func (q *quota) reserve(batch []Claim, items []item, outcomes []Outcome) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k := range items {
		it := &items[k]
		if it.first != k || outcomes[it.i] != Fresh {
			continue
		}
		id, err := q.take(&batch[it.i])
		if err != nil {
			for j := range k {
				if prev := &items[j]; prev.first == j && outcomes[prev.i] == Fresh {
					q.give(prev.domain)
				}
			}
			return err
		}
		it.domain = id
	}
	return nil
}

func (q *quota) take(c *Claim) (uint32, error) {
	if !c.Signed {
		if q.unsigned >= q.maxUnsigned {
			return 0, errFullUnsigned
		}
		q.unsigned++
		return unsignedDomain, nil
	}
	if q.signed >= q.maxSigned {
		return 0, errFullSigned
	}
	id, known := q.ids[c.Domain]
	if !known {
		id = q.add(c.Domain)
	} else if q.domains[id].live >= q.maxPerDomain {
		return 0, errFullDomain
	}
	q.domains[id].live++
	q.signed++
	return id, nil
}

func (q *quota) add(name string) uint32 {
	// A copy, since the name may be a piece of a much longer string.
	name = strings.Clone(name)
	var id uint32
	if n := len(q.free); n > 0 {
		id = q.free[n-1]
		q.free = q.free[:n-1]
		q.domains[id].name = name
	} else {
		id = uint32(len(q.domains))
		q.domains = append(q.domains, domain{name: name})
	}
	q.ids[name] = id
	return id
}

// give takes back one claim of the domain and forgets the domain with its last one.
func (q *quota) give(id uint32) {
	if id == unsignedDomain {
		q.unsigned--
		return
	}
	q.signed--
	d := &q.domains[id]
	d.live--
	if d.live == 0 {
		delete(q.ids, d.name)
		d.name = ""
		q.free = append(q.free, id)
	}
}

// counts returns the live claims.
func (q *quota) counts() (signed, unsigned int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.signed, q.unsigned
}

// refund gathers claims that are gone, to give them back many at a time.
type refund struct {
	quota   *quota
	n       int
	domains [32]uint32
}

func (r *refund) add(id uint32) {
	if r.n == len(r.domains) {
		r.flush()
	}
	r.domains[r.n] = id
	r.n++
}

func (r *refund) flush() {
	if r.n == 0 {
		return
	}
	r.quota.mu.Lock()
	defer r.quota.mu.Unlock()
	for _, id := range r.domains[:r.n] {
		r.quota.give(id)
	}
	r.n = 0
}
