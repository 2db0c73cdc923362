// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"math/bits"
	"sync"
)

const (
	shardBits  = 8
	shardCount = 1 << shardBits

	// A word of the index is the position of an entry, 0 for none, with seven bits above
	// it that spare looks at the entry: its distance from its own place, as far as that
	// can be written, and a few bits of its hash.
	posBits  = 25
	posMask  = 1<<posBits - 1
	distBits = 4
	maxDist  = 1<<distBits - 1
	tagShift = posBits + distBits

	minIndex = 64

	// 128 entries are 6 KiB, one of the runtime's size classes exactly.
	chunkBits = 7
	chunkSize = 1 << chunkBits
)

// entry is one live claim, of 48 bytes and without pointers.
//
// Of the key it holds the first 16 bytes. Two tokens alike in them are taken for one
// another, which never lets one through that a longer key would stop: at worst the
// second is refused. To have someone else's token refused that way, an attacker has to
// meet 128 given bits with a hash over the attacker's own level class and issuer. For
// any one of 2^20 live claims that takes 2^108 hashes within the life of the claim. A
// mere collision, at 2^64, is between two tokens of the attacker's own.
type entry struct {
	hi, lo uint64
	digest Digest
	// notAfter is in seconds after the store was made.
	notAfter uint32
	// next and prev link the entries of one slot of the wheel; next also links free ones.
	next, prev uint32
	domain     uint32
}

// shard is a part of the store with a lock of its own: entries in an arena of chunks,
// an index with open addressing over them, and a timing wheel through them. All but
// init is called with the lock held.
type shard struct {
	mu    sync.Mutex
	seed  [2]uint64
	quota *quota
	// index has a power of two of words, at most three quarters in use.
	index  []uint32
	chunks []*[chunkSize]entry
	wheel  *wheel
	// used is the highest position ever handed out. Position 0 means none.
	used, free, live uint32
	// now is in seconds after the store was made and never goes back.
	now uint32
	_   [24]byte // fills two cache lines, so that neighbours don't share one
}

// hash mixes the key with secrets of this store. The key is a hash already, but one
// that its issuer can try out at leisure: with the plain bits, tokens made to share
// a place in the index would turn each look into a walk over all of them.
func hash(seed *[2]uint64, hi, lo uint64) uint64 {
	h, l := bits.Mul64(hi^seed[0], lo^seed[1])
	return h ^ l
}

// The top bits of a hash choose the shard, those below go into the word, and the low
// ones are the place in the index.
func shardOf(hash uint64) int { return int(hash >> (64 - shardBits)) }

// word is what stands in the index for an entry, at a distance from its place.
func word(hash uint64, pos uint32, dist uint64) uint32 {
	return uint32(hash>>(32-shardBits))>>tagShift<<tagShift | uint32(min(dist, maxDist))<<posBits | pos
}

func (s *shard) at(pos uint32) *entry {
	return &s.chunks[pos>>chunkBits][pos%chunkSize]
}

// find returns the position of the entry with this key, or 0.
func (s *shard) find(it *item) uint32 {
	if len(s.index) == 0 {
		return 0
	}
	mask := uint64(len(s.index) - 1)
	for dist := uint64(0); ; dist++ {
		w := s.index[(it.hash+dist)&mask]
		if w == 0 {
			return 0
		}
		if w&^posMask != word(it.hash, 0, dist) {
			continue
		}
		if e := s.at(w & posMask); e.hi == it.hi && e.lo == it.lo {
			return w & posMask
		}
	}
}

// insert keeps a claim that find has not found and the quota has counted. The caps are
// at most posMask together, so positions can't run out.
func (s *shard) insert(it *item, digest Digest, notAfter uint32) uint32 {
	if uint64(s.live+1)*4 > uint64(len(s.index))*3 {
		s.grow()
	}
	pos := s.alloc()
	*s.at(pos) = entry{hi: it.hi, lo: it.lo, digest: digest, notAfter: notAfter, domain: it.domain}
	s.place(it.hash, pos)
	s.link(pos)
	s.live++
	return pos
}

func (s *shard) alloc() uint32 {
	if pos := s.free; pos != 0 {
		s.free = s.at(pos).next
		return pos
	}
	s.used++
	if int(s.used>>chunkBits) >= len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkSize]entry))
	}
	if s.wheel == nil {
		s.wheel = new(wheel)
	}
	return s.used
}

// place writes the entry into the first free word of the index from its place on.
func (s *shard) place(hash uint64, pos uint32) {
	mask := uint64(len(s.index) - 1)
	dist := uint64(0)
	for s.index[(hash+dist)&mask] != 0 {
		dist++
	}
	s.index[(hash+dist)&mask] = word(hash, pos, dist)
}

func (s *shard) grow() {
	old := s.index
	s.index = make([]uint32, max(minIndex, 2*len(old)))
	for _, w := range old {
		if w != 0 {
			pos := w & posMask
			s.place(s.hashAt(pos), pos)
		}
	}
}

func (s *shard) hashAt(pos uint32) uint64 {
	e := s.at(pos)
	return hash(&s.seed, e.hi, e.lo)
}

// drop forgets an entry that is no longer linked into the wheel, and returns the
// domain to be given back to the quota.
func (s *shard) drop(pos uint32) uint32 {
	s.displace(pos)
	e := s.at(pos)
	domain := e.domain
	*e = entry{next: s.free}
	s.free = pos
	s.live--
	return domain
}

// displace takes an entry out of the index and moves those behind it up, so that no
// marks of deleted entries are left to walk over.
func (s *shard) displace(pos uint32) {
	mask := uint64(len(s.index) - 1)
	gap := s.hashAt(pos) & mask
	for s.index[gap]&posMask != pos {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; s.index[i] != 0; i = (i + 1) & mask {
		// An entry may move up to the gap, but not before its own place.
		dist, move := s.dist(i, mask), (i-gap)&mask
		if dist < move {
			continue
		}
		w := s.index[i] &^ (maxDist << posBits)
		s.index[gap] = w | uint32(min(dist-move, maxDist))<<posBits
		gap = i
	}
	s.index[gap] = 0
}

// dist returns how far the entry at i in the index is from its own place.
func (s *shard) dist(i, mask uint64) uint64 {
	w := s.index[i]
	if dist := w >> posBits & maxDist; dist < maxDist {
		return uint64(dist)
	}
	return (i - s.hashAt(w&posMask)) & mask
}
