// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-ect/ect/core"
)

// judge says what becomes of a body.
type judge interface {
	// atEnd judges a body once its end was seen, nil if not all of it was; its error is
	// what reading gives from then on, with no data beside it.
	atEnd(all *contentHash) error
	// atBreak judges an error of the source; what it returns is what reading gives.
	atBreak(err error) error
	// atClose is called after the source was closed, which may read it to its end, and once
	// all of it was read to be held.
	atClose()
}

// body hashes a body as it passes. Where it holds bytes back, the last of them are
// given out only once the end was seen and judged, so that a decoder which stops at the
// end of its value still meets the error (profile 9.7).
type body struct {
	src io.ReadCloser
	// by is asked about the body, nil if nobody is.
	by judge
	// hold is how many bytes wait for the end; onClose is how many are read on when such
	// a body is closed.
	hold    int
	onClose int64
	// declared is the length that the peer was told of, 0 or -1 if it was not: who sends
	// so much does not look for the end.
	declared int64

	// reading is held by whoever reads the source, who may wait there for long; what is
	// below it is theirs.
	reading sync.Mutex
	hash    contentHash
	buf     []byte // read, not given out
	start   int
	err     error // what reading the source ended with, as judged
	lost    bool  // drain took bytes that the reader was due

	// blind tells that bytes may have been dropped below: what comes has no hash.
	blind atomic.Bool

	read  atomic.Bool  // the source was read
	count atomic.Int64 // bytes that came from it

	// mu guards what else others want to know at any time.
	mu       sync.Mutex
	sum      core.Hash
	complete bool  // all of it came; sum is made when it is asked for
	failed   error // err, unless that is io.EOF
}

func newBody(src io.ReadCloser, hold int, j judge) *body {
	return &body{src: src, hold: hold, by: j}
}

// Read implements io.Reader. An error never comes with data.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	b.begin()
	if b.hold == 0 && b.buf == nil {
		return b.direct(p)
	}
	for {
		ready := len(b.buf) - b.start
		if (b.lost || b.blind.Load()) && (b.err == nil || isEOF(b.err)) {
			return 0, http.ErrBodyReadAfterClose
		}
		if b.err == nil {
			ready -= b.hold
		} else if !isEOF(b.err) {
			return 0, b.err
		}
		if ready > 0 {
			n := copy(p, b.buf[b.start:b.start+ready])
			b.start += n
			return n, nil
		}
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
}

// begin notes that the source is read.
func (b *body) begin() { b.read.Store(true) }

// direct reads without holding back.
func (b *body) direct(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.hash.write(p[:n])
	b.passed(n)
	if err != nil {
		b.end(err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// maxEmptyReads is how often a source may give neither bytes nor an error.
const maxEmptyReads = 100

// source reads the source, and gives up on one that gives nothing.
func (b *body) source(p []byte) (int, error) {
	for range maxEmptyReads {
		if n, err := b.src.Read(p); n > 0 || err != nil {
			b.hash.write(p[:n])
			b.passed(n)
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// passed counts what came from the source, and was hashed where it has a declared length.
func (b *body) passed(n int) {
	count := b.count.Add(int64(n))
	if b.declared <= 0 || n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum = core.Hash{}
	if count == b.declared {
		b.sum = b.hash.sum()
	}
}

// passedSoFar returns how many bytes came from the source.
func (b *body) passedSoFar() int64 { return b.count.Load() }

// holdBack sets how many bytes wait for the end, of those that were not given out yet.
func (b *body) holdBack(bytes int) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.err == nil {
		b.hold = bytes
	}
}

// begun tells whether anybody has read the body.
func (b *body) begun() bool { return b.read.Load() }

// fill reads once into the buffer, what was given out dropped from it.
func (b *body) fill() {
	if b.start > 0 {
		b.buf = b.buf[:copy(b.buf, b.buf[b.start:])]
		b.start = 0
	}
	if n := len(b.buf); n == cap(b.buf) {
		b.buf = append(make([]byte, 0, max(heldStart, min(4*n, 2*b.hold))), b.buf...)
	}
	n, err := b.source(b.buf[len(b.buf):cap(b.buf)])
	b.buf = b.buf[:len(b.buf)+n]
	if err != nil {
		b.end(err)
	}
}

// heldStart is how much room there is at first for what is held back.
const heldStart = 512

// whole reads all of a body that nobody has read yet, to be given out later, and leaves it
// to the caller to judge. One of more than limit bytes is [core.CodeBodyTooLarge].
func (b *body) whole(limit int64) (core.Hash, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.begun() {
		return core.Hash{}, core.NewError(core.CodeBody, errors.New("the body was read before it could be checked"))
	}
	b.begin()
	j := b.by
	b.by = nil
	b.buf = make([]byte, 0, wholeStart)
	for b.err == nil {
		b.buf = slices.Grow(b.buf, 1)
		b.fill()
		if int64(len(b.buf)) > limit {
			return core.Hash{}, errBodyTooLarge
		}
	}
	if !isEOF(b.err) {
		if _, ok := errors.AsType[*http.MaxBytesError](b.err); ok {
			return core.Hash{}, errBodyTooLarge
		}
		return core.Hash{}, core.NewError(core.CodeUnavailable, fmt.Errorf("reading the body: %w", b.err))
	}
	if j != nil {
		j.atClose()
	}
	return b.content(), nil
}

// wholeStart is how much room a body that is read whole has at first.
const wholeStart = 4 << 10

var errBodyTooLarge = core.NewError(core.CodeBodyTooLarge, errors.New("the body is over the cap of what is held whole"))

// end notes what the source ended with, and judges a body that was read whole.
func (b *body) end(err error) {
	b.err = err
	all := &b.hash
	if !isEOF(err) || b.blind.Load() {
		all = nil
	}
	if b.by != nil && !isEOF(err) {
		b.err = b.by.atBreak(err)
	} else if b.by != nil {
		if bad := b.by.atEnd(all); bad != nil {
			b.err = bad
			b.buf, b.start = b.buf[:0], 0
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum, b.complete = core.Hash{}, all != nil
	if !isEOF(b.err) {
		b.failed = b.err
	}
}

// fail makes a body that nobody has read yet fail from the start.
func (b *body) fail(err error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	b.end(err)
}

// Close implements io.Closer. A body whose end is waited for is read on first, within a
// bound, as closing it would otherwise do away with what is wrong with it.
func (b *body) Close() error {
	if b.hold > 0 {
		b.drain(b.onClose, false)
	}
	err := b.src.Close()
	if b.by != nil {
		b.by.atClose()
	}
	return err
}

// content returns the hash of the body, absent if it was not read to its end.
func (b *body) content() core.Hash {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.complete && !b.sum.Present {
		b.sum = b.hash.sum() // nothing is written any more
	}
	return b.sum
}

// drain reads on, no further than limit, so that the end is seen. What it reads is
// lost to the reader. Unless wait is set it does nothing while somebody reads: who may
// wait for bytes that come only once the response is complete.
func (b *body) drain(limit int64, wait bool) {
	if wait {
		b.reading.Lock()
	} else if !b.reading.TryLock() {
		return
	}
	defer b.reading.Unlock()
	b.begin()
	if b.err == nil {
		b.drop(limit)
	}
}

// drop reads the rest for its hash alone.
func (b *body) drop(limit int64) {
	var scratch [4 << 10]byte
	for b.err == nil && !b.blind.Load() && limit >= 0 {
		n, err := b.source(scratch[:min(int64(len(scratch)), limit+1)])
		b.lost = b.lost || n > 0
		limit -= int64(n)
		if err != nil {
			b.end(err)
		}
	}
}

// ended tells whether all of the body came.
func (b *body) ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.complete
}

// forgo gives up the hash of a body whose end was not seen, as bytes of it may be dropped
// below.
func (b *body) forgo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blind.Store(!b.complete && !b.sum.Present)
}

// failure returns the error that the body ended with, nil if it was read whole and is
// right, or has not ended.
func (b *body) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// isEOF tells whether a body was read to its end.
func isEOF(err error) bool {
	return err == io.EOF //nolint:errorlint // a reader's end is io.EOF itself; an error that wraps it is a failure
}

// errBodyDiffers is what reading a body gives that is not the one recorded.
func errBodyDiffers() *core.Error {
	return core.NewError(core.CodeBody, errors.New("the body is not the one that its sender's record names"))
}
