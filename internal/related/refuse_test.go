// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package related_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-ect/ect/internal/related"
)

// part is a part of a message.
func part(header, content string) string {
	return "--the-boundary\r\n" + header + "\r\n\r\n" + content + "\r\n"
}

const (
	tokensHeader = "Content-Type: application/exec+jwt"
	proofHeader  = "Content-Type: application/tlog-proof"
	ending       = "--the-boundary--\r\n"
)

var (
	tokenPart = part(tokensHeader, "a.b.c")
	proofPart = part(proofHeader, ":AAAA:")
	bodyPart  = part("Content-Type: text/plain", "the body")
)

func TestMalformed(t *testing.T) {
	tokens := func(content string) string { return part(tokensHeader, content) + bodyPart + ending }
	header := func(h string) string { return tokenPart + part(h, "the body") + ending }
	for name, text := range map[string]string{
		"a form within":                      tokenPart + part("Content-Type: "+related.Type("x"), "the body") + ending,
		"a form within, after receipts":      tokenPart + proofPart + part(`Content-Type: Multipart/Related; boundary=x; type="application/exec+jwt"`, "") + ending,
		"a form within, of no boundary":      tokenPart + part(`Content-Type: multipart/related; type="application/exec+jwt"`, "") + ending,
		"nothing":                            "",
		"a preamble":                         "preamble\r\n" + tokenPart + bodyPart + ending,
		"an empty line before":               "\r\n" + tokenPart + bodyPart + ending,
		"a space before":                     " " + tokenPart + bodyPart + ending,
		"an epilogue":                        tokenPart + bodyPart + ending + "epilogue",
		"a line end after":                   tokenPart + bodyPart + ending + "\r\n",
		"a zero byte after":                  tokenPart + bodyPart + ending + "\x00",
		"a second message after":             strings.Repeat(tokenPart+bodyPart+ending, 2),
		"no line end at the end":             tokenPart + bodyPart + "--the-boundary--",
		"half a line end at the end":         tokenPart + bodyPart + "--the-boundary--\r",
		"a bare LF at the end":               tokenPart + bodyPart + "--the-boundary--\n",
		"one hyphen at the end":              tokenPart + bodyPart + "--the-boundary-\r\n",
		"a space after the last delimiter":   tokenPart + bodyPart + "--the-boundary-- \r\n",
		"no end":                             tokenPart + bodyPart,
		"another boundary":                   strings.ReplaceAll(tokenPart+bodyPart+ending, "the-boundary", "a-boundary"),
		"a boundary of another case":         strings.ReplaceAll(tokenPart+bodyPart+ending, "the-boundary", "The-boundary"),
		"a space after the first delimiter":  strings.Replace(tokenPart, "y\r\n", "y \r\n", 1) + bodyPart + ending,
		"a space after the second delimiter": tokenPart + strings.Replace(bodyPart, "y\r\n", "y \r\n", 1) + ending,
		"bare LFs":                           strings.ReplaceAll(tokenPart+bodyPart+ending, "\r\n", "\n"),
		"bare CRs":                           strings.ReplaceAll(tokenPart+bodyPart+ending, "\r\n", "\r"),
		"nothing but an end":                 ending,
		"nothing but tokens":                 tokenPart + ending,
		"nothing but a body":                 bodyPart + ending,
		"body before tokens":                 bodyPart + tokenPart + ending,
		"receipts before tokens":             proofPart + tokenPart + bodyPart + ending,
		"receipts after the body":            tokenPart + bodyPart + proofPart + ending,
		"receipts and no body":               tokenPart + proofPart + ending,
		"receipts twice and no body":         tokenPart + proofPart + "--the-boundary--\r\n",
		"tokens twice":                       tokenPart + tokenPart + bodyPart + ending,
		"a fourth part":                      tokenPart + proofPart + bodyPart + bodyPart + ending,
		"a body twice":                       tokenPart + bodyPart + bodyPart + ending,

		"no token":                    tokens(""),
		"a comma":                     tokens("a.b.c,d.e.f"),
		"a comma after":               tokens("a.b.c,"),
		"a comma and a line end":      tokens("a.b.c,\r\nd.e.f"),
		"a space before a token":      tokens(" a.b.c"),
		"a space after a token":       tokens("a.b.c "),
		"a tab":                       tokens("a.b.c\t"),
		"an empty line first":         tokens("\r\na.b.c"),
		"an empty line between":       tokens("a.b.c\r\n\r\nd.e.f"),
		"an empty line last":          tokens("a.b.c\r\n"),
		"a bare LF between":           tokens("a.b.c\nd.e.f"),
		"a bare CR between":           tokens("a.b.c\rd.e.f"),
		"a byte of no token":          tokens("a.b.c="),
		"base64 of another kind":      tokens("a.b.c+/"),
		"a zero byte":                 tokens("a.b.c\x00"),
		"a byte beyond ASCII":         tokens("a.b.\xff"),
		"the delimiter for tokens":    "--the-boundary\r\n" + tokensHeader + "\r\n\r\n" + bodyPart + ending,
		"no empty line before tokens": "--the-boundary\r\n" + tokensHeader + "\r\na.b.c\r\n" + bodyPart + ending,

		"tokens without a type":        part("", "a.b.c") + bodyPart + ending,
		"tokens of another type":       part("Content-Type: text/plain", "a.b.c") + bodyPart + ending,
		"tokens with a parameter":      part(tokensHeader+"; charset=utf-8", "a.b.c") + bodyPart + ending,
		"tokens with another field":    part(tokensHeader+"\r\nContent-Language: en", "a.b.c") + bodyPart + ending,
		"tokens encoded":               part(tokensHeader+"\r\nContent-Transfer-Encoding: quoted-printable", "a.b.c") + bodyPart + ending,
		"tokens compressed":            part(tokensHeader+"\r\nContent-Encoding: gzip", "a.b.c") + bodyPart + ending,
		"tokens with their type twice": part(tokensHeader+"\r\n"+tokensHeader, "a.b.c") + bodyPart + ending,
		"receipts with a parameter":    tokenPart + part(proofHeader+"; x=y", ":AAAA:") + bodyPart + ending,
		"receipts with another field":  tokenPart + part(proofHeader+"\r\nContent-Language: en", ":AAAA:") + bodyPart + ending,
		"receipts encoded":             tokenPart + part("Content-Transfer-Encoding: 8bit\r\n"+proofHeader, ":AAAA:") + bodyPart + ending,
		"receipts on two lines":        tokenPart + part(proofHeader, ":AAAA:\r\n:BBBB:") + bodyPart + ending,
		"receipts beyond ASCII":        tokenPart + part(proofHeader, ":AAAA:\xe4") + bodyPart + ending,
		"receipts with a zero byte":    tokenPart + part(proofHeader, "\x00") + bodyPart + ending,

		"a body encoded":              header("Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable"),
		"a body encoded as it is":     header("content-transfer-encoding: binary"),
		"a field of another name":     header("X-Other: x"),
		"a length":                    header("Content-Length: 8"),
		"an id":                       header("Content-ID: <x>"),
		"a token in the part":         header("Execution-Context: a.b.c"),
		"a type twice":                header("Content-Type: text/plain\r\nContent-Type: text/plain"),
		"a type twice, another case":  header("Content-Type: text/plain\r\ncontent-type: text/plain"),
		"an encoding twice":           header("Content-Encoding: gzip\r\nContent-Encoding: gzip"),
		"a language twice":            header("Content-Language: en\r\nContent-Language: de"),
		"a disposition twice":         header("Content-Disposition: inline\r\nContent-Disposition: inline"),
		"a folded field":              header("Content-Type: text/plain;\r\n charset=utf-8"),
		"a field with a bare CR":      header("Content-Type: text/plain\rX: y"),
		"a field with a zero byte":    header("Content-Type: text/plain\x00"),
		"a field with a DEL":          header("Content-Type: text/plain\x7f"),
		"a space before the colon":    header("Content-Type : text/plain"),
		"a space before the name":     header(" Content-Type: text/plain"),
		"no colon":                    header("Content-Type"),
		"a bare LF between fields":    header("Content-Type: text/plain\nContent-Language: en"),
		"a bare LF for an empty line": tokenPart + "--the-boundary\r\nContent-Type: text/plain\r\n\nthe body\r\n" + ending,
		"no empty line":               tokenPart + "--the-boundary\r\nthe body\r\n" + ending,
		"an end in place of a header": tokenPart + "--the-boundary\r\n" + ending,
		"the delimiter for a body":    tokenPart + "--the-boundary\r\n\r\n" + ending,
		"the delimiter first":         tokenPart + part("", "--the-boundary and more") + ending,
		"the delimiter in the body":   tokenPart + part("", "the\r\n--the-boundary body") + ending,
		"a delimiter, then more of it": tokenPart + part("", "the\r\n--the-boundary-is-longer\r\n") +
			ending,
		"an end in the body": tokenPart + part("", "the\r\n--the-boundary--\r\nbody") + ending,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readText(text); !errors.Is(err, related.ErrMalformed) {
				t.Errorf("read %q = %v, %v; want ErrMalformed", text, got, err)
			}
		})
	}
}

// TestAccepted: what has more than one spelling.
func TestAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"as it is written":   tokenPart + bodyPart + ending,
		"names in lower":     strings.ReplaceAll(tokenPart+bodyPart, "Content-Type", "content-type") + ending,
		"types in upper":     part("CONTENT-TYPE:APPLICATION/EXEC+JWT", "a.b.c") + bodyPart + ending,
		"tabs":               part("Content-Type:\t application/exec+jwt\t ", "a.b.c") + bodyPart + ending,
		"receipts are empty": tokenPart + part(proofHeader, "") + bodyPart + ending,
	} {
		got, err := readText(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(samples()["one token"], got, cmp.AllowUnexported(message{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLimits(t *testing.T) {
	tokens := func(t ...string) string { return part(tokensHeader, lines(t...)) + bodyPart + ending }
	long := func(n int) string { return strings.Repeat("A", n) }
	field := func(n int) string {
		const name = "Content-Type: "
		return part(name+long(n-len(name)-len("\r\n\r\n")), "the body") + ending
	}
	receipts := func(n int) string { return tokenPart + part(proofHeader, long(n)) + bodyPart + ending }
	tooLarge := related.ErrTooLarge
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"a token at the limit":                {tokens(long(64)), nil},
		"a token above":                       {tokens(long(65)), tooLarge},
		"a second one above":                  {tokens("a", long(65)), tooLarge},
		"as many as may be":                   {tokens("a", "b", "c", "d"), nil},
		"one more":                            {tokens("a", "b", "c", "d", "e"), tooLarge},
		"in all, at the limit":                {tokens(long(64), long(64), long(64), long(2)), nil},
		"in all, above":                       {tokens(long(64), long(64), long(64), long(3)), tooLarge},
		"in all, and no end":                  {part(tokensHeader, long(201)), tooLarge},
		"too large and malformed":             {tokens("a,b", long(65)), tooLarge},
		"too many and malformed":              {tokens("", "", "", "", ""), tooLarge},
		"a header of the tokens at the limit": {strings.Replace(tokens("a"), " ", long(8192-4-len(tokensHeader))+" ", 1), related.ErrMalformed},
		"a header of the tokens above":        {strings.Replace(tokens("a"), " ", long(8192-3-len(tokensHeader))+" ", 1), tooLarge},
		"a header at the limit":               {tokenPart + field(related.MaxHeaderBytes), nil},
		"a header above":                      {tokenPart + field(related.MaxHeaderBytes+1), tooLarge},
		"a header without an end":             {tokenPart + "--the-boundary\r\nContent-Type: " + long(related.MaxHeaderBytes), tooLarge},
		"receipts at the limit":               {receipts(related.MaxReceiptBytes), nil},
		"receipts above":                      {receipts(related.MaxReceiptBytes + 1), tooLarge},
		"receipts without an end":             {tokenPart + part(proofHeader, long(related.MaxReceiptBytes+1)), tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readText(c.text); !errors.Is(err, c.want) {
				t.Errorf("read = %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestBoundary(t *testing.T) {
	for b, ok := range map[string]bool{
		"": false, "x": true, "0": true, " ": false, "x ": false, " x": true, "x y": true,
		strings.Repeat("x", related.MaxBoundary): true, strings.Repeat("x", related.MaxBoundary+1): false,
		"'()+_,-./:=?": true, "x;y": false, "x\r\n": false, "x\x00": false, "x\t": false, `x"`: false, `x\`: false, "x*": false,
		"xä": false, "@": false, "[": false, "x<y": false, related.NewBoundary(): true,
	} {
		m := samples()["empty"]
		before, after, err := m.Frame(b)
		if (err == nil) != ok {
			t.Errorf("Frame(%q) = %v", b, err)
		}
		if err != nil && before+after != "" {
			t.Errorf("Frame(%q) gives %q with an error", b, before+after)
		}
		if !ok {
			before, after = "--"+b+"\r\n"+tokensHeader+"\r\n\r\ne30\r\n--"+b+"\r\n\r\n", "\r\n--"+b+"--\r\n"
		}
		if _, err := read(strings.NewReader(before+after), b, limits); ok != (err == nil) || !ok && !errors.Is(err, related.ErrMalformed) {
			t.Errorf("read with boundary %q = %v", b, err)
		}
		got, ours, err := related.ParseType(related.Type(b))
		if !ours || ok && (got != b || err != nil) || !ok && (err == nil || got != "") {
			t.Errorf("ParseType(Type(%q)) = %q, %v, %v", b, got, ours, err)
		}
	}
	if a, b := related.NewBoundary(), related.NewBoundary(); a == b || len(a) < 20 {
		t.Errorf("NewBoundary = %q, %q", a, b)
	}
}

func TestFrameRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*related.Head)
		want error
	}{
		"no token":              {func(h *related.Head) { h.Tokens = nil }, related.ErrMalformed},
		"an empty token":        {func(h *related.Head) { h.Tokens = []string{""} }, related.ErrMalformed},
		"two tokens in one":     {func(h *related.Head) { h.Tokens = []string{"a,b"} }, related.ErrMalformed},
		"a token of two lines":  {func(h *related.Head) { h.Tokens = []string{"a\r\nb"} }, related.ErrMalformed},
		"a foreign field":       {func(h *related.Head) { h.Header["Content-Id"] = "x" }, related.ErrMalformed},
		"a name in lower":       {func(h *related.Head) { h.Header["content-type"] = "x" }, related.ErrMalformed},
		"a line end":            {func(h *related.Head) { h.Header[related.ContentType] = "a\r\nX: y" }, related.ErrMalformed},
		"a bare CR":             {func(h *related.Head) { h.Header[related.ContentType] = "a\ry" }, related.ErrMalformed},
		"a header too large":    {func(h *related.Head) { h.Header[related.ContentLanguage] = strings.Repeat("x", 8<<10) }, related.ErrTooLarge},
		"a form within":         {func(h *related.Head) { h.Header[related.ContentType] = related.Type("x") }, related.ErrMalformed},
		"receipts of two lines": {func(h *related.Head) { h.Receipts = "a\r\nb" }, related.ErrMalformed},
		"receipts too large":    {func(h *related.Head) { h.Receipts = strings.Repeat("x", related.MaxReceiptBytes+1) }, related.ErrTooLarge},
	} {
		h := samples()["everything"].Head
		h.Header = maps.Clone(h.Header)
		c.edit(&h)
		if before, after, err := h.Frame(boundary); !errors.Is(err, c.want) || before+after != "" {
			t.Errorf("%s: Frame = %q, %q, %v; want %v", name, before, after, err, c.want)
		}
	}
}

func TestParseType(t *testing.T) {
	for value, want := range map[string]struct {
		boundary string
		ours     bool
	}{
		`multipart/related; type="application/exec+jwt"; boundary=x`:                          {"x", true},
		`multipart/related; boundary=x; type="application/exec+jwt"`:                          {"x", true},
		`Multipart/Related;TYPE="Application/Exec+JWT";BOUNDARY="x y"`:                        {"x y", true},
		`multipart/related ; type=application/exec+jwt; boundary=x`:                           {"", true}, // a slash is in no token
		`multipart/related ;	type="application/\exec+jwt" ; boundary="\x"`:                    {"x", true},
		`multipart/related; type="application/exec+jwt"`:                                      {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=""`:                         {"", true},
		`multipart/related; type="application/exec+jwt"; boundary="x `:                        {"", true},
		`multipart/related; type="application/exec+jwt"; boundary="x "`:                       {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=x;`:                         {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=x y`:                        {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=x; a=b`:                     {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=x; start=b`:                 {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=x; BOUNDARY=x`:              {"", true},
		`multipart/related; type="application/exec+jwt"; type="text/plain"; boundary=x`:       {"", true},
		`multipart/related; type="text/plain"; type="application/exec+jwt"; boundary=x`:       {"", true},
		`multipart/related; =; type="application/exec+jwt"; boundary=x`:                       {"", true},
		`multipart/related; type ="application/exec+jwt"; boundary=x`:                         {"", true},
		`multipart/related;; type="application/exec+jwt"; boundary=x`:                         {"", true},
		`multipart/related; type = "application/exec+jwt"; boundary=x`:                        {"", true},
		`multipart/related; type="application/exec+jwt`:                                       {"", true},
		`multipart/related; type="application/exec+jwt"; boundary=x, y`:                       {"", true},
		`multipart/related; type="application/exec+jwt;"; boundary=x`:                         {"", false},
		`multipart/related; boundary=x`:                                                       {"", false},
		`multipart/related; type="text/plain"; boundary=x`:                                    {"", false},
		`multipart/related; type="text/plain"; start-info="application/exec+jwt"; boundary=x`: {"", false},
		`multipart/related`:    {"", false},
		`multipart/related;`:   {"", false},
		`multipart/related; "`: {"", false},
		`multipart/mixed; type="application/exec+jwt"; boundary=x`:     {"", false},
		`multipart/relatedly; type="application/exec+jwt"; boundary=x`: {"", false},
		`application/exec+jwt`: {"", false},
		``:                     {"", false},
	} {
		boundary, ours, err := related.ParseType(value)
		if boundary != want.boundary || ours != want.ours || (err != nil) != (want.ours && want.boundary == "") {
			t.Errorf("ParseType(%s) = %q, %v, %v; want %q, %v", value, boundary, ours, err, want.boundary, want.ours)
		}
		if err != nil && !errors.Is(err, related.ErrMalformed) {
			t.Errorf("ParseType(%s) = %v, want ErrMalformed", value, err)
		}
	}
}
