// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// maxAhead is the latest end of a claim, in seconds after the store was made. One
// second more is kept for "later than any claim".
const maxAhead = math.MaxUint32 - 1

// Memory is a [Store] in the memory of one process, bounded by its [Config] (profile
// 7.4). Make one with [NewMemory]. All its methods are safe for concurrent use.
type Memory struct {
	clock func() time.Time
	seed  [2]uint64
	// start is when the store was made, and latest the latest time seen, in Unix seconds.
	start  int64
	latest atomic.Int64
	// swept is a time to which all shards have been moved, in seconds after start.
	swept    atomic.Uint32
	sweeping sync.Mutex
	quota    quota
	// Locks are taken in the order: sweeping, shards by number, quota. A call that
	// holds shards never sweeps.
	shards [shardCount]shard
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store. The error names the field of the [Config] that is
// out of range. An empty store takes some 10 KiB and grows with what it holds.
func NewMemory(c Config) (*Memory, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("replay: random seed: %w", err)
	}
	m := &Memory{clock: c.Now, start: c.Now().Unix()}
	m.seed = [2]uint64{binary.BigEndian.Uint64(secret[:8]), binary.BigEndian.Uint64(secret[8:])}
	m.latest.Store(m.start)
	m.quota.init(c)
	for i := range m.shards {
		m.shards[i].seed = m.seed
		m.shards[i].quota = &m.quota
	}
	return m, nil
}

// Claim takes every claim of the batch or none, as [Store] says. Errors are those of
// the context, [ErrExpired], [ErrTooFar], and one that wraps [ErrFull] and names the
// cap. What has expired never counts against a cap.
func (m *Memory) Claim(ctx context.Context, batch []Claim, once bool) ([]Outcome, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(batch) == 0 {
		return nil, nil
	}
	unix, now := m.now()
	for i := range batch {
		if batch[i].NotAfter < unix {
			return nil, ErrExpired
		}
		if m.ahead(batch[i].NotAfter) > maxAhead {
			return nil, ErrTooFar
		}
	}
	var array [smallBatch]item
	items := m.items(array[:0], batch)
	outcomes := make([]Outcome, len(batch))
	for {
		// Has to be read before the attempt: only then is a full store full of what was
		// alive at the time.
		swept := m.swept.Load() >= now
		err := m.claim(batch, items, outcomes, once, now)
		if err == nil {
			return outcomes, nil
		}
		if !errors.Is(err, ErrFull) {
			return nil, err
		}
		// Calls that saw a later time may have taken the room that was left, so the
		// answer has to be right for their time. This goes round again only when
		// another call has seen the clock move meanwhile.
		latest := m.since(m.latest.Load())
		if swept && latest <= now {
			return nil, err
		}
		now = latest
		m.sweep(now)
	}
}

// Release gives back the claims of the batch whose digest is equal to the stored one,
// as [Store] says. The only error is that of a context that is done.
func (m *Memory) Release(ctx context.Context, batch []Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	_, now := m.now()
	var array [smallBatch]item
	m.release(batch, m.items(array[:0], batch), now)
	return nil
}

// Len returns how many signed and unsigned claims are live.
func (m *Memory) Len() (signed, unsigned int) {
	if _, now := m.now(); m.swept.Load() < now {
		m.sweep(now)
	}
	return m.quota.counts()
}

// now returns the latest time seen, the present one included: in Unix seconds, and in
// seconds after the store was made as far as those go.
func (m *Memory) now() (unix int64, now uint32) {
	unix = m.clock().Unix()
	for {
		latest := m.latest.Load()
		if unix <= latest {
			unix = latest
			break
		}
		if m.latest.CompareAndSwap(latest, unix) {
			break
		}
	}
	return unix, m.since(unix)
}

// since returns a time in seconds after the store was made, as far as those go.
func (m *Memory) since(unix int64) uint32 { return uint32(min(m.ahead(unix), math.MaxUint32)) }

// ahead returns how long after the store was made a time not before that is, in
// seconds. The difference is right even where it overflows an int64.
func (m *Memory) ahead(unix int64) uint64 { return uint64(unix) - uint64(m.start) }

// sweep moves all shards to now. Since they keep that time, doing it once a second is
// enough, however many calls meet a full store in it.
func (m *Memory) sweep(now uint32) {
	m.sweeping.Lock()
	defer m.sweeping.Unlock()
	if m.swept.Load() >= now {
		return
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.advance(now)
		s.expire()
		s.mu.Unlock()
	}
	m.swept.Store(now)
}
