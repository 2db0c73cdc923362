// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-ect/ect/core/id"
)

// What a [Memory] store holds unless its configuration says otherwise.
const (
	// DefaultMaxTasks is the largest number of tasks; a task takes about a kilobyte.
	DefaultMaxTasks = 1 << 18
	// DefaultMaxUnsigned is the largest number of unsigned tasks among them, so that
	// unsigned traffic cannot starve signed.
	DefaultMaxUnsigned = 1 << 16
	// DefaultMaxBytes is about how much memory the tasks may take.
	DefaultMaxBytes = 512 << 20
	// DefaultQuiet is how long nothing must have come for a workflow before it may be
	// dropped: longer than a token is accepted.
	DefaultQuiet = 20 * time.Minute
)

// ownReserve is the part of the capacity kept for tokens of this process, whose work
// may be done already.
const ownReserve = 8

// MemoryConfig sets the bounds of a [Memory] store. Zero means the default; negative
// is a construction error.
type MemoryConfig struct {
	MaxTasks    int
	MaxUnsigned int
	// MaxPerDomain is the largest number of signed tasks of one trust domain, this
	// process's own aside; half of MaxTasks unless set.
	MaxPerDomain int
	// MaxBytes is about how much memory the tasks may take.
	MaxBytes int
	// Quiet is how long a workflow must have been quiet to be dropped.
	Quiet time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Memory is a bounded store of one process: several instances of a service do not see
// each other's tasks. It drops whole workflows that have been quiet, never part of
// one; tokens without a workflow go one by one (profile 5.10). It is safe for
// concurrent use.
type Memory struct {
	cfg MemoryConfig

	mu       sync.RWMutex
	nodes    map[Key]*record
	digests  map[edgeKey]*record
	tasks    map[id.UUID]*twins
	named    map[id.UUID]int // how many edges name a task, known or not
	groups   map[id.UUID]*group
	quiet    *list.List // of *group, quietest first
	unsigned int
	bytes    int
	domains  map[string]int // signed tasks, this process's own aside
}

// taskBytes and edgeBytes are about what a task and an edge of it take beside texts.
const (
	taskBytes = 640
	edgeBytes = 112
)

// bytes is about what a record takes.
func (r *record) bytes() int {
	return taskBytes + edgeBytes*len(r.Preds) + len(r.Token) + len(r.Key.Issuer)
}

// shares tells whether a record counts for the share of a trust domain.
func (r *record) shares() bool { return r.Key.Signed && !r.own && r.Domain != "" }

type edgeKey struct {
	task   id.UUID
	digest id.Short
}

// twins are the tokens of one task id, by level class.
type twins struct{ signed, unsigned []*record }

// group is what is dropped together: a workflow, or one token that has none.
type group struct {
	workflow id.Workflow
	records  []*record
	last     time.Time
	place    *list.Element
}

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	switch {
	case cfg.MaxTasks < 0:
		return nil, fmt.Errorf("ect: dag.MemoryConfig.MaxTasks is negative")
	case cfg.MaxUnsigned < 0:
		return nil, fmt.Errorf("ect: dag.MemoryConfig.MaxUnsigned is negative")
	case cfg.MaxPerDomain < 0:
		return nil, fmt.Errorf("ect: dag.MemoryConfig.MaxPerDomain is negative")
	case cfg.MaxBytes < 0:
		return nil, fmt.Errorf("ect: dag.MemoryConfig.MaxBytes is negative")
	case cfg.Quiet < 0:
		return nil, fmt.Errorf("ect: dag.MemoryConfig.Quiet is negative")
	}
	if cfg.MaxTasks == 0 {
		cfg.MaxTasks = DefaultMaxTasks
	}
	if cfg.MaxUnsigned == 0 {
		cfg.MaxUnsigned = min(DefaultMaxUnsigned, cfg.MaxTasks)
	}
	if cfg.MaxPerDomain == 0 {
		cfg.MaxPerDomain = max(cfg.MaxTasks/2, 1)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.Quiet == 0 {
		cfg.Quiet = DefaultQuiet
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Memory{
		cfg: cfg, quiet: list.New(),
		nodes: map[Key]*record{}, digests: map[edgeKey]*record{}, tasks: map[id.UUID]*twins{},
		domains: map[string]int{}, named: map[id.UUID]int{}, groups: map[id.UUID]*group{},
	}, nil
}

// Len returns how many tasks are held, and how many of them are unsigned.
func (m *Memory) Len() (tasks, unsigned int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.nodes), m.unsigned
}

// Check implements [Store].
func (m *Memory) Check(ctx context.Context, batch []Entry, rules Rules) ([]Judgement, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	j, err := judgeBatch((*memoryView)(m), batch, rules)
	if err != nil {
		return nil, err
	}
	return j.judgements(), nil
}

// Admit implements [Store].
func (m *Memory) Admit(ctx context.Context, batch []Entry, rules Rules) ([]Judgement, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	j, err := judgeBatch((*memoryView)(m), batch, rules)
	if err != nil {
		return nil, err
	}
	m.wake(j, now)
	if err := m.makeRoom(j.out, now); err != nil {
		return nil, err
	}
	for i := range j.out {
		m.put(&j.out[i], now)
	}
	return j.judgements(), nil
}

// wake marks the workflows that a batch belongs to or comes after as active, so that
// making room for it does not drop what it was judged by.
func (m *Memory) wake(j *judge, now time.Time) {
	for i := range j.out {
		r := &j.out[i]
		if known := m.nodes[r.Key]; known != nil {
			m.touch(known.group, now)
		}
		if g := m.groups[r.Workflow.ID]; r.Workflow.Present && g != nil {
			m.touch(g, now)
		}
		for n, d := range r.found {
			p := m.digests[edgeKey{r.Preds[n].Task, d.Short()}]
			if p != nil && p.Digest == d && p.Workflow.Present {
				m.touch(p.group, now) // a token without a workflow goes by its age
			}
		}
	}
}

// demand is what the new records of a batch need.
type demand struct {
	tasks, unsigned, bytes int
	domains                map[string]int
	own                    bool
}

func (m *Memory) demand(out []record) demand {
	d := demand{own: true}
	for i := range out {
		r := &out[i]
		if m.nodes[r.Key] != nil {
			continue
		}
		d.tasks++
		d.bytes += r.bytes()
		d.own = d.own && r.own
		if !r.Key.Signed {
			d.unsigned++
		}
		if r.shares() {
			if d.domains == nil {
				d.domains = make(map[string]int, 1)
			}
			d.domains[r.Domain]++
		}
	}
	return d
}

// full tells whether a demand goes past a bound. This process's own tokens have a
// reserve.
func (m *Memory) full(d demand) bool {
	limit := func(n int) int {
		if d.own {
			return n + max(n/ownReserve, 1)
		}
		return n
	}
	for domain, n := range d.domains {
		if m.domains[domain]+n > m.cfg.MaxPerDomain {
			return true
		}
	}
	return d.tasks > 0 && (len(m.nodes)+d.tasks > limit(m.cfg.MaxTasks) || m.bytes+d.bytes > limit(m.cfg.MaxBytes)) ||
		d.unsigned > 0 && m.unsigned+d.unsigned > limit(m.cfg.MaxUnsigned)
}

// makeRoom drops quiet workflows until the new ones of the records fit.
func (m *Memory) makeRoom(out []record, now time.Time) error {
	need := m.demand(out)
	// Two a time keep the store tidy at no cost; more only when it is full.
	for n := 0; n < 2 || m.full(need); n++ {
		oldest := m.quiet.Front()
		if oldest == nil {
			break
		}
		g, ok := oldest.Value.(*group)
		if !ok || now.Sub(g.last) <= m.cfg.Quiet {
			break
		}
		m.drop(g)
	}
	if m.full(need) {
		return ErrFull
	}
	return nil
}

// put keeps a record, or what is newly known of one that is kept already.
func (m *Memory) put(r *record, now time.Time) {
	if known := m.nodes[r.Key]; known != nil {
		known.lowest, known.partial, known.found = r.lowest, r.partial, r.found
		return
	}
	kept := new(record)
	*kept = *r
	m.nodes[kept.Key] = kept
	m.digests[edgeKey{kept.Key.Task, kept.Digest.Short()}] = kept
	t := m.tasks[kept.Key.Task]
	if t == nil {
		t = &twins{}
		m.tasks[kept.Key.Task] = t
	}
	class := t.class(kept.Key.Signed)
	kept.twin = len(*class)
	*class = append(*class, kept)
	if !kept.Key.Signed {
		m.unsigned++
	}
	if kept.shares() {
		m.domains[kept.Domain]++
	}
	m.bytes += kept.bytes()
	for _, e := range kept.Preds {
		m.named[e.Task]++
	}
	m.join(kept, now)
}

func (t *twins) class(signed bool) *[]*record {
	if signed {
		return &t.signed
	}
	return &t.unsigned
}

// join puts a record into the group it will be dropped with.
func (m *Memory) join(r *record, now time.Time) {
	var g *group
	if r.Workflow.Present {
		g = m.groups[r.Workflow.ID]
	}
	if g == nil {
		g = &group{workflow: r.Workflow}
		g.place = m.quiet.PushBack(g)
		if r.Workflow.Present {
			m.groups[r.Workflow.ID] = g
		}
	}
	r.group = g
	g.records = append(g.records, r)
	m.touch(g, now)
}

func (m *Memory) touch(g *group, now time.Time) {
	g.last = now
	m.quiet.MoveToBack(g.place)
}

// drop forgets a group.
func (m *Memory) drop(g *group) {
	m.quiet.Remove(g.place)
	if g.workflow.Present {
		delete(m.groups, g.workflow.ID)
	}
	for _, r := range g.records {
		delete(m.nodes, r.Key)
		if k := (edgeKey{r.Key.Task, r.Digest.Short()}); m.digests[k] == r {
			delete(m.digests, k)
		}
		t := m.tasks[r.Key.Task]
		class := t.class(r.Key.Signed)
		last := len(*class) - 1
		(*class)[r.twin] = (*class)[last]
		(*class)[r.twin].twin = r.twin
		*class = slices.Delete(*class, last, last+1)
		if len(t.signed)+len(t.unsigned) == 0 {
			delete(m.tasks, r.Key.Task)
		}
		if !r.Key.Signed {
			m.unsigned--
		}
		if r.shares() {
			if m.domains[r.Domain]--; m.domains[r.Domain] == 0 {
				delete(m.domains, r.Domain)
			}
		}
		m.bytes -= r.bytes()
		for _, e := range r.Preds {
			if m.named[e.Task]--; m.named[e.Task] == 0 {
				delete(m.named, e.Task)
			}
		}
	}
}

// memoryView reads a store whose lock is held.
type memoryView Memory

func (m *memoryView) byKey(k Key) *record { return m.nodes[k] }

func (m *memoryView) byDigest(task id.UUID, d id.Short) *record { return m.digests[edgeKey{task, d}] }

func (m *memoryView) candidates(from *Node, e Edge) (first, second *record) {
	if e.Bound {
		return m.byDigest(e.Task, e.Digest), nil
	}
	t := m.tasks[e.Task]
	if t == nil {
		return nil, nil
	}
	two := [2]*record{}
	n := copy(two[:], t.signed)
	if !from.Key.Signed {
		copy(two[n:], t.unsigned)
	}
	return two[0], two[1]
}

func (m *memoryView) names(task id.UUID) bool { return m.named[task] > 0 }
