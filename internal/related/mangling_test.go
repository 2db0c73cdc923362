// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related_test

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/internal/related"
)

// blamed tells whether an error blames the message.
func blamed(err error) bool {
	return errors.Is(err, related.ErrMalformed) || errors.Is(err, related.ErrTooLarge)
}

func same(a, b *message) bool { return cmp.Equal(a, b, cmp.AllowUnexported(message{})) }

// short are the samples whose every mangling is tried.
func short(t *testing.T) map[string]*message {
	t.Helper()
	all := samples()
	for name, m := range all {
		if len(m.body) > 256 {
			delete(all, name)
		}
	}
	if len(all) < 15 {
		t.Fatalf("%d short samples", len(all))
	}
	return all
}

// TestCutShort: no message ends before its end.
func TestCutShort(t *testing.T) {
	for name, m := range short(t) {
		text := write(t, m, boundary)
		for n := range len(text) {
			for _, src := range []io.Reader{strings.NewReader(text[:n]), iotest.DataErrReader(strings.NewReader(text[:n]))} {
				if got, err := read(src, boundary, limits); !errors.Is(err, related.ErrMalformed) {
					t.Fatalf("%s: the first %d of %d bytes read as %v, %v", name, n, len(text), got, err)
				}
			}
		}
	}
}

// TestGoesOn: nothing follows the end, and nothing stands before the beginning.
func TestGoesOn(t *testing.T) {
	for name, m := range short(t) {
		text := write(t, m, boundary)
		for c := range 256 {
			for _, mangled := range []string{text + string([]byte{byte(c)}), string([]byte{byte(c)}) + text} {
				if got, err := readText(mangled); !errors.Is(err, related.ErrMalformed) {
					t.Fatalf("%s with a byte %#x more: %v, %v", name, c, got, err)
				}
			}
		}
		if got, err := readText(text + text); !errors.Is(err, related.ErrMalformed) {
			t.Errorf("%s twice: %v, %v", name, got, err)
		}
	}
}

// TestEveryByte changes, drops and doubles every byte, to every other in some samples, and
// puts something before it. What comes of it is refused or says something else, but for
// what has two spellings.
func TestEveryByte(t *testing.T) {
	thorough := map[string]bool{"everything": true, "nearly delimiters": true, "a body of receipts": true}
	for name, m := range short(t) {
		text := write(t, m, boundary)
		judge := func(mangled string, at int) {
			t.Helper()
			got, err := readText(mangled)
			switch {
			case err != nil && !blamed(err):
				t.Fatalf("%s, mangled at %d: %v", name, at, err)
			case err == nil && same(got, m) && !spelling(text, mangled):
				t.Fatalf("%s, mangled at %d: %q reads as if it was not", name, at, mangled)
			}
		}
		for n := range len(text) {
			for c := range 256 {
				if thorough[name] && byte(c) != text[n] {
					judge(text[:n]+string([]byte{byte(c)})+text[n+1:], n)
				}
			}
			for _, c := range []byte{text[n] ^ 1, text[n] ^ 0x20, text[n] ^ 0x80} {
				judge(text[:n]+string([]byte{c})+text[n+1:], n)
			}
			judge(text[:n]+text[n+1:], n)
			for _, more := range []string{text[n : n+1], "\r", "\n", "\r\n", " ", "\t", "-", "x", "\x00", "--the-boundary", "\r\n--the-boundary"} {
				judge(text[:n]+more+text[n:], n)
			}
		}
	}
}

// spelling tells whether two messages differ in the case of names and types alone, or in
// white space beside the value of a field.
func spelling(a, b string) bool {
	fold := func(s string) []string {
		var out []string
		for l := range strings.SplitSeq(s, "\r\n") {
			name, value, _ := strings.Cut(strings.ToLower(l), ":")
			out = append(out, name+":"+strings.Trim(value, " \t"))
		}
		return out
	}
	return slices.Equal(fold(a), fold(b))
}

// FuzzReader reads arbitrary messages. What reads, written again, reads the same, and is
// what mime/multipart makes of it; what does not gives nothing.
func FuzzReader(f *testing.F) {
	for _, m := range samples() {
		if len(m.body) < 1000 {
			before, after, err := m.Frame(boundary)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(boundary, []byte(before+m.body+after), uint8(0))
			f.Add("x", []byte(strings.ReplaceAll(before+m.body+after, boundary, "x")), uint8(1))
		}
	}
	f.Add("--", []byte("----\r\ncontent-type:APPLICATION/exec+jwt\r\n\r\n-\r\n----\r\n\r\n--\r\n------\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, boundary string, data []byte, chunk uint8) {
		var src io.Reader = bytes.NewReader(data)
		if chunk > 0 {
			src = &chunks{r: src, n: int(chunk)}
		}
		got, err := read(src, boundary, limits)
		if err != nil {
			if got != nil || !blamed(err) {
				t.Fatalf("read = %v, %v", got, err)
			}
			return
		}
		again, err := read(strings.NewReader(write(t, got, boundary)), boundary, limits)
		if err != nil || !same(got, again) {
			t.Fatalf("%v, written again, reads as %v, %v", got, again, err)
		}
		asMIME(t, got, multipart.NewReader(bytes.NewReader(data), boundary))
		if b, ours, err := related.ParseType(related.Type(boundary)); b != boundary || !ours || err != nil {
			t.Fatalf("ParseType(Type(%q)) = %q, %v, %v", boundary, b, ours, err)
		}
	})
}

// asMIME holds a message against what the general reader sees in it.
func asMIME(t *testing.T, m *message, r *multipart.Reader) {
	t.Helper()
	var bodies []string
	var last *multipart.Part
	for {
		p, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // the end of the parts
			break
		}
		if err != nil {
			t.Fatalf("mime/multipart: %v", err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatalf("mime/multipart: %v", err)
		}
		bodies, last = append(bodies, string(body)), p
	}
	if len(bodies) < 2 || len(bodies) > 3 {
		t.Fatalf("mime/multipart sees %d parts", len(bodies))
	}
	seen := &message{body: bodies[len(bodies)-1], Head: related.Head{Tokens: strings.Split(bodies[0], "\r\n"), Header: map[string]string{}}}
	if len(bodies) == 3 {
		seen.Receipts = bodies[1]
	}
	for name, values := range last.Header {
		if len(values) != 1 {
			t.Fatalf("mime/multipart sees %s %d times", name, len(values))
		}
		seen.Header[name] = values[0]
	}
	if !same(m, seen) {
		t.Fatalf("mime/multipart sees %v, and not %v", seen, m)
	}
}

// chunks gives no more than n bytes a read.
type chunks struct {
	r io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

// FuzzParseType: what is ours has a boundary that can be written, or an error.
func FuzzParseType(f *testing.F) {
	for _, s := range []string{
		related.Type("x"), related.Type("x y"), `multipart/related; type="application/exec+jwt`, "multipart/related; a=b", "", ";",
		`multipart/related; boundary="\"\\"; type="application/exec+jwt"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		boundary, ours, err := related.ParseType(value)
		switch {
		case !ours && (boundary != "" || err != nil), err != nil && (boundary != "" || !errors.Is(err, related.ErrMalformed)):
			t.Fatalf("ParseType = %q, %v, %v", boundary, ours, err)
		case ours && err == nil:
			if b, ours, err := related.ParseType(related.Type(boundary)); b != boundary || !ours || err != nil {
				t.Fatalf("ParseType(Type(%q)) = %q, %v, %v", boundary, b, ours, err)
			}
		}
	})
}
