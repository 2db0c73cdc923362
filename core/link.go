// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import (
	"slices"
	"sync/atomic"
)

// link is a token as something that later ones come after, with as many generations
// of its own predecessors as some audience may be given. It does not change once others
// can see it.
type link struct {
	task   UUID
	digest Digest
	text   string
	hashed bool // inp_hash or out_hash stands in it
	traced bool // a span context stands in it
	preds  []*link
	// depth is how many generations are behind it.
	depth int
	// shorter is the same token with one generation less, once that was asked for.
	shorter atomic.Pointer[link]
}

func newLink(c *Claims, d Digest, text string) *link {
	l := new(link)
	l.set(c, d, text)
	return l
}

func (l *link) set(c *Claims, d Digest, text string) {
	l.task, l.digest, l.text = c.TaskID, d, text
	l.hashed, l.traced = c.InpHash.Present || c.OutHash.Present, c.Ext.Trace != ""
}

// after returns the token as one that comes after others.
func (l *link) after(preds []*link) *link {
	c := &link{task: l.task, digest: l.digest, text: l.text, hashed: l.hashed, traced: l.traced, preds: preds}
	c.deepen()
	return c
}

// deepen takes over how deep the predecessors are, and tells whether that was news.
func (l *link) deepen() bool {
	before := l.depth
	for _, p := range l.preds {
		l.depth = max(l.depth, p.depth+1)
	}
	return l.depth != before
}

// trim returns the link with no more than that many generations behind it. What is cut
// is kept with what it was cut from: tokens that come after the same ones share them,
// so that many calls side by side cost no more than their own tokens.
func (l *link) trim(generations int) *link {
	for l.depth > generations {
		l = l.shorten()
	}
	return l
}

// shorten returns the link with one generation less behind it; there is one.
func (l *link) shorten() *link {
	if s := l.shorter.Load(); s != nil {
		return s
	}
	s := &link{task: l.task, digest: l.digest, text: l.text, hashed: l.hashed, traced: l.traced, depth: l.depth - 1}
	if s.depth > 0 {
		s.preds = make([]*link, len(l.preds))
		for n, p := range l.preds {
			s.preds[n] = p.trim(s.depth - 1)
		}
	}
	l.shorter.Store(s)
	return s
}

// tie gives links that came in one message the depths that follow from their
// predecessors, which are among them and make no cycle.
func tie(links []*link) {
	for range links {
		news := false
		for _, l := range links {
			news = l.deepen() || news
		}
		if !news {
			return
		}
	}
}

// without returns the links that are not among others.
func without(links, others []*link) (rest []*link) {
	for _, l := range links {
		if !slices.ContainsFunc(others, func(o *link) bool { return o.digest == l.digest }) {
			rest = append(rest, l)
		}
	}
	return rest
}

func predecessors(links []*link) []Predecessor {
	p := make([]Predecessor, len(links))
	for n, l := range links {
		p[n] = Predecessor{TaskID: l.task, Digest: l.digest}
	}
	return p
}

// withContext returns a token and as many generations of what it came after as the peer
// may have, nearest first, each once and without what the peer has already, as far as the
// limits of a message allow. A token that is left out takes what only it leads to along:
// without it that would be no context.
func withContext(text string, preds []*link, to Audience, has []*link) []string {
	tokens := []string{text}
	if to.Context == 0 {
		return tokens
	}
	total := len(text)
	seen := map[Digest]struct{}{}
	for _, l := range has {
		seen[l.digest] = struct{}{}
	}
	for generation := 0; generation < to.Context && len(preds) > 0; generation++ {
		var next []*link
		for _, l := range preds {
			if _, again := seen[l.digest]; again || l.hashed && !to.Hashes || l.traced && to.Trace&TraceParent == 0 {
				continue
			}
			seen[l.digest] = struct{}{}
			if total += len(l.text) + len(", "); len(tokens) == DefaultTokens || total > DefaultTotalBytes {
				return tokens
			}
			tokens = append(tokens, l.text)
			next = append(next, l.preds...)
		}
		preds = next
	}
	return tokens
}
