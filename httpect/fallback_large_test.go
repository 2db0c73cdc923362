// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package httpect_test

import (
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/httpect"
)

// TestFallbackLarge sends 1 GiB with the tokens in the body, through both sides over a
// socket: what is held does not grow with it.
func TestFallbackLarge(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() || raceEnabled {
		size = 16 << 20
	}
	protos(t, func(t *testing.T, proto string) {
		var peak atomic.Uint64
		p := foldingPair(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 64<<10)
			var total, sampled int64
			for {
				n, err := r.Body.Read(buf)
				if total += int64(n); total-sampled > size/16 {
					sampled = total
					runtime.GC()
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak.Store(max(peak.Load(), m.HeapAlloc))
				}
				if err != nil {
					if err != io.EOF || total != size {
						t.Errorf("the handler read %d bytes, %v", total, err)
					}
					break
				}
			}
		}), over(proto))
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		ctx, _ := p.start(t)
		body := &zeros{left: size, sum: sha256.New()}
		r, err := readReply(p.client.Do(padded(t, "POST", p.site.URL, body, noRoom).WithContext(ctx)))
		if err != nil || r.err != nil || r.StatusCode != 200 {
			t.Fatalf("Do = %v, %v", r, err)
		}
		a, ok := httpect.AnswerOf(r.Response)
		if want := (core.Hash{Sum: [32]byte(body.sum.Sum(nil)), Present: true}); !ok || a.Heads()[0].Claims().InpHash != want {
			t.Errorf("AnswerOf = %v, %v; want the hash of what was sent", a, ok)
		}
		if grown := int64(peak.Load()) - int64(before.HeapAlloc); grown > 8<<20 && !raceEnabled {
			t.Errorf("%d bytes took %d bytes of memory at once", size, grown)
		}
	})
}

// zeros is a long body, hashed as it is read.
type zeros struct {
	left int64
	sum  hash.Hash
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.sum.Write(p[:n])
	z.left -= int64(n)
	return n, nil
}
