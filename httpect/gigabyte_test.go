// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// meter looks at the heap now and then while something large goes through.
type meter struct {
	base, peak uint64
}

func newMeter() *meter {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return &meter{base: m.HeapAlloc}
}

func (m *meter) look() {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m.peak = max(m.peak, now.HeapAlloc)
}

// grown fails if the heap grew by more than limit, garbage included.
func (m *meter) grown(t *testing.T, limit uint64) {
	t.Helper()
	if m.peak == 0 {
		t.Error("nobody looked")
	}
	if m.peak > m.base+limit {
		t.Errorf("the heap grew by %d KiB, want %d at most", (m.peak-m.base)>>10, limit>>10)
	}
}

// endless gives a pattern of a set length, and has the meter look now and then.
type endless struct {
	left, told int64
	meter      *meter
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.left)]
	for n := range p {
		p[n] = byte(n)
	}
	e.left -= int64(len(p))
	if e.told += int64(len(p)); e.told >= 32<<20 {
		e.told = 0
		e.meter.look()
	}
	return len(p), nil
}

// TestGigabyte: a gigabyte goes down and up through middleware and transport, hashed on
// the way on both sides, in memory that does not grow with it.
func TestGigabyte(t *testing.T) {
	size, limit := int64(1<<30), uint64(24<<20)
	if raceEnabled || testing.Short() {
		size = 64 << 20
	}
	if raceEnabled {
		limit = 1 << 40 // the race detector's own
	}
	for name, h := range map[string]func(m *meter, got *core.Hash) http.HandlerFunc{
		"down": func(m *meter, _ *core.Hash) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				io.Copy(w, &endless{left: size, meter: m}) //nolint:errcheck // the client looks
			}
		},
		"up": func(_ *meter, got *core.Hash) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) {
				h := sha256.New()
				n, err := io.Copy(h, r.Body)
				if n != size || err != nil {
					t.Errorf("Copy = %d, %v", n, err)
				}
				*got = core.Hash{Sum: [32]byte(h.Sum(nil)), Present: true}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			protos(t, func(t *testing.T, proto string) {
				m := newMeter()
				var stored core.Hash
				p := newPair(t, h(m, &stored), over(proto))
				ctx, _ := p.start(t)
				req := newRequest(t, "GET", p.site.URL, nil)
				if name == "up" {
					req = newRequest(t, "PUT", p.site.URL, &endless{left: size, meter: m})
					req.ContentLength = size
				}
				resp, err := p.client.Do(req.WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.New()
				n, err := io.Copy(sum, resp.Body)
				if err != nil || name == "down" && n != size {
					t.Errorf("Copy = %d, %v", n, err)
				}
				if err := resp.Body.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				answer, ok := httpect.AnswerOf(resp)
				if !ok {
					t.Fatal("AnswerOf: none")
				}
				c := answer.Heads()[0].Claims()
				if got := (core.Hash{Sum: [32]byte(sum.Sum(nil)), Present: true}); c.OutHash != got {
					t.Errorf("out_hash = %v, want that of what came, %v", c.OutHash, got)
				}
				if name == "up" && c.InpHash != stored {
					t.Errorf("inp_hash = %v, want that of what came, %v", c.InpHash, stored)
				}
				m.grown(t, limit)
				t.Logf("the heap grew by %d KiB", (int64(m.peak)-int64(m.base))>>10)
			})
		})
	}
}
