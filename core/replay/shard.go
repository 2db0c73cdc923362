// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package replay

import "sync"

const (
	shardBits  = 6
	shardCount = 1 << shardBits

	// 256 entries are 10 KiB, one of the runtime's size classes exactly.
	chunkBits = 8
	chunkSize = 1 << chunkBits

	// blockSize is how many entries lie together in a slot of the wheel, in 320 bytes,
	// five cache lines exactly.
	blockSize = 8
)

// entry is one claim, of 40 bytes and without pointers.
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
	domain   uint32
}

// shard is a part of the store with a lock of its own: entries in an arena of chunks,
// sorted by a timing wheel into blocks that end at about the same time, and an index
// with open addressing over them. Its methods are called with the lock held.
//
// To read memory that no cache holds is what a claim costs most. So entries are written
// where others have just been cleared, and a fresh claim reads nothing else that is far
// away but its word of the index.
type shard struct {
	mu    sync.Mutex
	seed  [2]uint64
	quota *quota
	// index has a power of two of words, at most three quarters in use.
	index  []uint32
	chunks []*[chunkSize]entry
	// under links the blocks of one slot of the wheel, and the free ones. Block 0 means
	// none, so that position 0 does too.
	under []uint32
	wheel *wheel
	free  uint32
	// held counts entries, also those that have ended and are not cleared yet.
	held uint32
	// now is in seconds after the store was made and never goes back.
	now uint32
	// read is there for readAhead to read something for, and fills two cache lines, so
	// that neighbours don't share one.
	read uint32
}

func (s *shard) at(pos uint32) *entry {
	return &s.chunks[pos>>chunkBits][pos%chunkSize]
}

// insert keeps a claim that find has not found and the quota has counted.
func (s *shard) insert(it *item, digest Digest) {
	if uint64(s.held+1)*4 > uint64(len(s.index))*3 {
		s.grow()
	}
	if s.wheel == nil {
		s.wheel = &wheel{tick: s.now >> tickBits}
	}
	pos := s.push(it.notAfter)
	e := s.at(pos)
	e.hi, e.lo, e.digest, e.notAfter, e.domain = it.hi, it.lo, digest, it.notAfter, it.domain
	s.place(it.hash, pos)
	s.held++
}

// extend lets a claim that the shard holds live on, never shorter.
func (s *shard) extend(it *item) {
	pos := s.find(it)
	e := *s.at(pos)
	if it.notAfter <= e.notAfter {
		return
	}
	s.remove(pos, it.hash)
	e.notAfter = it.notAfter
	pos = s.push(e.notAfter)
	*s.at(pos) = e
	s.place(it.hash, pos)
	s.held++
}

// remove forgets an entry and returns the domain to be given back to the quota. The
// last entry of the same slot takes its place, so no other position outlasts a remove.
func (s *shard) remove(pos uint32, hash uint64) (domain uint32) {
	e := s.at(pos)
	domain = e.domain
	end := s.slot(e.notAfter)
	s.displace(hash, pos)
	if last := *end - 1; last != pos {
		*e = *s.at(last)
		s.repoint(s.hashAt(pos), last, pos)
	}
	s.pop(end)
	s.held--
	return domain
}

// alloc returns a block that is in no slot. The caps are at most MaxClaims together,
// so positions can't run out.
func (s *shard) alloc() uint32 {
	if block := s.free; block != 0 {
		s.free = s.under[block]
		return block
	}
	if len(s.under) == 0 {
		s.under = append(s.under, 0)
	}
	block := uint32(len(s.under))
	s.under = append(s.under, 0)
	if int(block*blockSize>>chunkBits) >= len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkSize]entry))
	}
	return block
}
