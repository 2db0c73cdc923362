// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"fmt"
	"maps"

	"github.com/go-ect/ect/core/id"
)

// Has tells whether the store holds a token of the key.
func (m *Memory) Has(k Key) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.tasks.byKey(m.tasks.table.lookup(k.Task), &k) != 0
}

// Drop drops the group of the token of a key, and returns how many tokens that were.
func (m *Memory) Drop(k Key) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.held
	if place := m.tasks.byKey(m.tasks.table.lookup(k.Task), &k); place != 0 {
		m.drop(m.tasks.records.at(place).group)
	}
	return held - m.held
}

// Named returns how many task ids are named as predecessors.
func (m *Memory) Named() (n int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.eachTask(func(r *row[task]) {
		if r.value.named > 0 {
			n++
		}
	})
	return n
}

// Bytes returns about how much memory the tasks are counted to take.
func (m *Memory) Bytes() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.bytes
}

// Domain returns how many tasks count for the share of a trust domain.
func (m *Memory) Domain(domain string) int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.domains[domain]
}

// eachTask walks over the tasks, bucket by bucket.
func (m *Memory) eachTask(visit func(*row[task])) {
	for _, place := range m.tasks.table.heads {
		for place != 0 {
			r := m.tasks.table.at(place)
			visit(r)
			place = r.next
		}
	}
}

// Sound tells whether the indexes of the store agree. It is for a store at rest.
func (m *Memory) Sound() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	places, err := m.soundGroups()
	if err != nil {
		return err
	}
	if err := m.soundTasks(places); err != nil {
		return err
	}
	unsigned, bytes, names, domains := 0, 0, map[id.UUID]uint32{}, map[string]int{}
	for _, place := range places {
		r := m.tasks.records.at(place)
		if bytes += r.bytes(); !r.Key.Signed {
			unsigned++
		}
		if r.shares(r.own) {
			domains[r.Domain]++
		}
		for _, e := range r.Preds {
			names[e.Task]++
		}
	}
	if len(places) != m.held || unsigned != m.unsigned || bytes != m.bytes {
		return fmt.Errorf("%d tokens, %d unsigned, %d bytes; counted are %d, %d, %d", len(places), unsigned, bytes, m.held, m.unsigned, m.bytes)
	}
	if !maps.Equal(domains, m.domains) {
		return fmt.Errorf("of trust domains there are %v, counted are %v", domains, m.domains)
	}
	m.eachTask(func(r *row[task]) {
		if names[r.id] != r.value.named {
			err = fmt.Errorf("%v is named by %d, counted are %d", r.id, names[r.id], r.value.named)
		}
		delete(names, r.id)
	})
	if len(names) > 0 {
		return fmt.Errorf("%d task ids are named and not known as such", len(names))
	}
	return err
}

// soundGroups returns the place of every token, by way of its group.
func (m *Memory) soundGroups() (places []uint32, err error) {
	named := 0
	for at := m.groups.group(ring).after; at != ring; at = m.groups.group(at).after {
		g := m.groups.group(at)
		if g.newest == 0 || m.groups.group(g.before).after != at || m.groups.group(g.after).before != at {
			return nil, fmt.Errorf("a group is empty or misplaced")
		}
		first := m.tasks.records.at(g.newest)
		if g.named {
			named++
			if m.groups.of(first.Workflow) != at {
				return nil, fmt.Errorf("workflow %v is two groups", first.Workflow)
			}
		} else if first.older != 0 {
			return nil, fmt.Errorf("tokens without a workflow are one group")
		}
		for place := g.newest; place != 0; place = m.tasks.records.at(place).older {
			if r := m.tasks.records.at(place); r.group != at || r.Workflow != first.Workflow || r.Workflow.Present != g.named {
				return nil, fmt.Errorf("%v is in a group of others", r.Key)
			}
			places = append(places, place)
		}
	}
	if named != m.groups.held {
		return nil, fmt.Errorf("%d workflows, %d groups", named, m.groups.held)
	}
	if free := len(m.tasks.records.free); free+len(places) != int(m.tasks.records.taken) {
		return nil, fmt.Errorf("of %d places %d hold tokens, and %d are free", m.tasks.records.taken, len(places), free)
	}
	for _, place := range m.tasks.records.free {
		if r := m.tasks.records.at(place); r.Key != (Key{}) || r.Token != "" || r.Preds != nil || r.found != nil {
			return nil, fmt.Errorf("a place that is free holds on to %v", r.Key)
		}
	}
	return places, nil
}

// soundTasks tells whether exactly these tokens are found by their task ids.
func (m *Memory) soundTasks(places []uint32) error {
	for _, place := range places {
		r := m.tasks.records.at(place)
		at := m.tasks.table.lookup(r.Key.Task)
		if m.tasks.byKey(at, &r.Key) != place || m.tasks.whole(at, r.Digest) != place {
			return fmt.Errorf("%v is not found by its key, or by its digest", r.Key)
		}
		if len(r.found) != len(r.Preds) {
			return fmt.Errorf("%v has %d edges, and found are %d", r.Key, len(r.Preds), len(r.found))
		}
		if w := m.tasks.twins[at]; w != nil {
			if class := *w.class(r.Key.Signed); r.twin >= uint32(len(class)) || class[r.twin] != place {
				return fmt.Errorf("%v is not at its place among its twins", r.Key)
			}
		}
	}
	found, held, twins := 0, 0, 0
	var err error
	m.eachTask(func(r *row[task]) {
		held++
		t := &r.value
		if *t == (task{}) {
			err = fmt.Errorf("nothing is known of %v, which is kept", r.id)
		}
		if t.only != 0 && t.only != several {
			found++
		}
		if t.only != several {
			return
		}
		twins++
		w := m.tasks.twins[m.tasks.table.lookup(r.id)]
		n := len(w.signed) + len(w.unsigned)
		if n < 2 || len(w.byKey) != n || len(w.byDigest) != n {
			err = fmt.Errorf("the twins of %v are %d, %d by key, %d by digest", r.id, n, len(w.byKey), len(w.byDigest))
		}
		found += n
	})
	if found != len(places) || twins != len(m.tasks.twins) || held != m.tasks.table.held {
		return fmt.Errorf("%d tokens, %d by task id; %d tasks, %d counted; %d with twins, %d kept", len(places), found, held, m.tasks.table.held, twins, len(m.tasks.twins))
	}
	return err
}
