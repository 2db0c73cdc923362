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
	return m.nodes[k] != nil
}

// Named returns how many task ids are named as predecessors.
func (m *Memory) Named() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.named)
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

// Sound tells whether the indexes of the store agree. It is for a store at rest.
func (m *Memory) Sound() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	unsigned, names := 0, map[id.UUID]int{}
	for k, r := range m.nodes {
		if r.Key != k {
			return fmt.Errorf("the token of %v is kept as %v", r.Key, k)
		}
		if !k.Signed {
			unsigned++
		}
		for _, e := range r.Preds {
			names[e.Task]++
		}
		if m.digests[edgeKey{k.Task, r.Digest.Short()}] != r {
			return fmt.Errorf("%v is not found by its digest", k)
		}
		t := m.tasks[k.Task]
		if t == nil || r.twin >= len(*t.class(k.Signed)) || (*t.class(k.Signed))[r.twin] != r {
			return fmt.Errorf("%v is not at its place among its twins", k)
		}
	}
	if unsigned != m.unsigned {
		return fmt.Errorf("%d unsigned tokens, counted are %d", unsigned, m.unsigned)
	}
	for task, n := range names {
		if m.named[task] != n {
			return fmt.Errorf("%v is named by %d, counted are %d", task, n, m.named[task])
		}
	}
	if len(m.named) != len(names) {
		return fmt.Errorf("%d task ids are named, counted are %d", len(names), len(m.named))
	}
	twins := 0
	for _, t := range m.tasks {
		twins += len(t.signed) + len(t.unsigned)
		if len(t.signed)+len(t.unsigned) == 0 {
			return fmt.Errorf("a task id without tokens is kept")
		}
	}
	if twins != len(m.nodes) || len(m.digests) != len(m.nodes) {
		return fmt.Errorf("%d tokens, %d by task id, %d by digest", len(m.nodes), twins, len(m.digests))
	}
	if err := m.soundShares(); err != nil {
		return err
	}
	return m.soundGroups()
}

func (m *Memory) soundShares() error {
	bytes, domains := 0, map[string]int{}
	for _, r := range m.nodes {
		bytes += r.bytes()
		if r.shares() {
			domains[r.Domain]++
		}
	}
	if bytes != m.bytes {
		return fmt.Errorf("the tokens take %d bytes, counted are %d", bytes, m.bytes)
	}
	if !maps.Equal(domains, m.domains) {
		return fmt.Errorf("of trust domains there are %v, counted are %v", domains, m.domains)
	}
	return nil
}

func (m *Memory) soundGroups() error {
	grouped, named := 0, 0
	for e := m.quiet.Front(); e != nil; e = e.Next() {
		g, ok := e.Value.(*group)
		if !ok || g.place != e || len(g.records) == 0 {
			return fmt.Errorf("a group is empty or misplaced")
		}
		grouped += len(g.records)
		if g.workflow.Present {
			named++
			if m.groups[g.workflow.ID] != g {
				return fmt.Errorf("workflow %v is two groups", g.workflow.ID)
			}
		} else if len(g.records) != 1 {
			return fmt.Errorf("%d tokens without a workflow are one group", len(g.records))
		}
		for _, r := range g.records {
			if r.group != g || m.nodes[r.Key] != r || r.Workflow != g.workflow {
				return fmt.Errorf("%v is in a group of others", r.Key)
			}
		}
	}
	if grouped != len(m.nodes) || named != len(m.groups) {
		return fmt.Errorf("%d tokens, %d in groups; %d workflows, %d groups", len(m.nodes), grouped, len(m.groups), named)
	}
	return nil
}
