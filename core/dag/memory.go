// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package dag

import (
	"context"
	"fmt"
	"sync"
	"time"
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

// maxMaxBytes keeps places, each of which is paid for in bytes, within 32 bits.
const maxMaxBytes int64 = 1 << 38

// MemoryConfig sets the bounds of a [Memory] store. Zero means the default; negative
// is a construction error.
type MemoryConfig struct {
	MaxTasks    int
	MaxUnsigned int
	// MaxPerDomain is the largest number of signed tasks of one trust domain, this
	// process's own aside; half of MaxTasks unless set.
	MaxPerDomain int
	// MaxBytes is about how much memory the tasks may take, 256 GiB at most. What was
	// taken once is used again, and not given back.
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

	// began is when the store was made, from which it counts time.
	began time.Time

	mu       sync.RWMutex
	tasks    tasks
	groups   groups
	held     int // tokens
	unsigned int // among them
	bytes    int
	domains  map[string]int // signed tokens, this process's own aside
}

// taskBytes and edgeBytes are about what a task and an edge of it take beside texts.
const (
	taskBytes = 640
	edgeBytes = 112
)

// bytes is about what a token takes.
func (n *Node) bytes() int {
	return taskBytes + edgeBytes*len(n.Preds) + len(n.Token) + len(n.Key.Issuer)
}

// shares tells whether a token counts for the share of a trust domain.
func (n *Node) shares(own bool) bool { return n.Key.Signed && !own && n.Domain != "" }

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
	case int64(cfg.MaxBytes) > maxMaxBytes:
		return nil, fmt.Errorf("ect: dag.MemoryConfig.MaxBytes is more than 256 GiB")
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
		cfg: cfg, began: cfg.Now(),
		tasks: newTasks(), groups: newGroups(), domains: map[string]int{},
	}, nil
}

// Len returns how many tasks are held, and how many of them are unsigned.
func (m *Memory) Len() (tasks, unsigned int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.held, m.unsigned
}

// Check implements [Store].
func (m *Memory) Check(ctx context.Context, p *Proposal) ([]Judgement, error) {
	p.Basis = nil
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	j, err := m.judge(p)
	if err != nil {
		return nil, err
	}
	p.Basis = j
	return j.says, nil
}

// Admit implements [Store].
func (m *Memory) Admit(ctx context.Context, p *Proposal) ([]Judgement, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := m.cfg.Now().Sub(m.began)
	m.mu.Lock()
	defer m.mu.Unlock()
	j, checked := p.Basis.(*judge)
	if !checked || !j.of(m, p) || !j.stands() {
		var err error
		if j, err = m.judge(p); err != nil {
			return nil, err
		}
	}
	m.wake(j, now)
	if err := m.makeRoom(j.out, now); err != nil {
		return nil, err
	}
	for i := range j.out {
		m.put(&j.out[i], now)
	}
	return j.says, nil
}

// wake marks the workflows that a batch belongs to or comes after as active, so that
// making room for it does not drop what it was judged by.
func (m *Memory) wake(j *judge, now time.Duration) {
	for i := range j.out {
		v := &j.out[i]
		v.into = 0
		if v.self.meant != 0 {
			v.into = m.tasks.records.at(v.self.meant).group
		}
		for n := range v.refs {
			if v.refs[n].meant == 0 {
				continue
			}
			p := m.tasks.records.at(v.refs[n].meant)
			if !p.Workflow.Present {
				continue // a token without a workflow goes by its age
			}
			m.groups.touch(p.group, now)
			if p.Workflow == v.Workflow {
				v.into = p.group
			}
		}
		if v.into == 0 {
			v.into = m.groups.of(v.Workflow)
		}
		if v.into != 0 {
			m.groups.touch(v.into, now)
		}
	}
}

// demand is what the new records of a batch need.
type demand struct {
	tasks, unsigned, bytes int
	shares                 []share
	own                    bool
}

// share is what a trust domain needs.
type share struct {
	domain string
	tasks  int
}

// demand appends shares to those given.
func (m *Memory) demand(out []verdict, shares []share) demand {
	d := demand{own: true, shares: shares}
	for i := range out {
		v := &out[i]
		if v.self.meant != 0 {
			continue
		}
		d.tasks++
		d.bytes += v.bytes()
		d.own = d.own && v.Own
		if !v.Key.Signed {
			d.unsigned++
		}
		if v.shares(v.Own) {
			d.share(v.Domain)
		}
	}
	return d
}

func (d *demand) share(domain string) {
	for n := range d.shares {
		if d.shares[n].domain == domain {
			d.shares[n].tasks++
			return
		}
	}
	d.shares = append(d.shares, share{domain, 1})
}

// full tells whether a demand goes past a bound. This process's own tokens have a
// reserve.
func (m *Memory) full(d *demand) bool {
	limit := func(n int) int {
		if d.own {
			return n + max(n/ownReserve, 1)
		}
		return n
	}
	for _, s := range d.shares {
		if m.domains[s.domain]+s.tasks > m.cfg.MaxPerDomain {
			return true
		}
	}
	return d.tasks > 0 && (m.held+d.tasks > limit(m.cfg.MaxTasks) || m.bytes+d.bytes > limit(m.cfg.MaxBytes)) ||
		d.unsigned > 0 && m.unsigned+d.unsigned > limit(m.cfg.MaxUnsigned)
}

// makeRoom drops quiet workflows until the new ones of a batch fit.
func (m *Memory) makeRoom(out []verdict, now time.Duration) error {
	var few [2]share
	need := m.demand(out, few[:0])
	// Two a time keep the store tidy at no cost; more only when it is full.
	for n := 0; n < 2 || m.full(&need); n++ {
		g := m.groups.quietest()
		if g == 0 || now-m.groups.group(g).last <= m.cfg.Quiet {
			break
		}
		m.drop(g)
	}
	if m.full(&need) {
		return ErrFull
	}
	return nil
}

// put keeps a token, or what is newly known of one that is kept already.
func (m *Memory) put(v *verdict, now time.Duration) {
	at := m.open(&v.self, v.Key.Task)
	if known := m.tasks.byKey(at, &v.Key); known != 0 {
		if r := m.tasks.records.at(known); !r.equal(&v.outcome) {
			r.learn(&v.outcome)
		}
		return
	}
	place := m.tasks.records.take()
	r := m.tasks.records.at(place)
	r.fill(&v.Node, &v.outcome, v.Own)
	m.tasks.add(at, place)
	for n := range r.Preds {
		m.tasks.name(m.open(&v.refs[n], r.Preds[n].Task))
	}
	m.count(r, 1)
	r.group = v.into
	if r.group == 0 {
		r.group = m.groups.of(r.Workflow) // new with this batch
	}
	if r.group == 0 {
		r.group = m.groups.open(r.Workflow, now)
	}
	g := m.groups.group(r.group)
	r.older, g.newest = g.newest, place
}

// count adds a token to what is held, or takes it off.
func (m *Memory) count(r *record, by int) {
	m.held += by
	m.bytes += by * r.bytes()
	if !r.Key.Signed {
		m.unsigned += by
	}
	if r.shares(r.own) {
		if m.domains[r.Domain] += by; m.domains[r.Domain] == 0 {
			delete(m.domains, r.Domain)
		}
	}
}

// drop forgets a group.
func (m *Memory) drop(g uint32) {
	place := m.groups.group(g).newest
	m.groups.dissolve(g)
	for place != 0 {
		r := m.tasks.records.at(place)
		m.count(r, -1)
		m.tasks.remove(m.tasks.table.lookup(r.Key.Task), place)
		for n := range r.Preds {
			m.tasks.unname(m.tasks.table.lookup(r.Preds[n].Task))
		}
		m.tasks.records.give(place)
		place = r.older
		r.clear()
	}
}
