package config

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// A Block is the part of a mapping that belongs to an adapter.
type Block struct {
	// mapping holds the pairs that nobody else took; origin is where they stood.
	mapping, origin *yaml.Node
	path            string
	loader          *loader
	// named are the keys that were taken, for suggestions.
	named []string
	used  bool
}

// Decode is a bridge.Decode. It reports all mistakes of the block at once.
func (b *Block) Decode(into any) error {
	b.used = true
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("%s: decode into %T: want a pointer to a struct", b.path, into)
	}
	l := b.loader.fork()
	l.structure(b.mapping, v.Elem(), b.path, b.origin, b.named)
	if len(l.errs) > 0 {
		return l.errs.sorted()
	}
	return nil
}

// True says that the block holds "name: true". It is how an operator's word for
// what a system's traits demand is found without knowing the system.
func (b *Block) True(name string) bool {
	if b.mapping == nil {
		return false
	}
	pairs, _ := b.loader.fork().pairs(b.mapping, b.path)
	for _, p := range pairs {
		if p.key.Value == name {
			var is bool
			b.loader.fork().value(p.value, reflect.ValueOf(&is).Elem(), b.path)
			return is
		}
	}
	return false
}
