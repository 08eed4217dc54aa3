package config

import (
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// A layered setting may come from the file, the environment or a flag.
type layered struct {
	key   string // in the file
	flag  string
	env   string
	value string // the default
	help  string
	field func(*Config) *string
}

var layers = []layered{
	{"http.listen", "http-listen", "CROSSFADE_HTTP_LISTEN", "127.0.0.1:7117", "address of the console, or off",
		func(c *Config) *string { return &c.HTTP.Listen }},
	{"log.level", "log-level", "CROSSFADE_LOG_LEVEL", "info", "debug, info, warn or error",
		func(c *Config) *string { return &c.Log.Level }},
	{"log.format", "log-format", "CROSSFADE_LOG_FORMAT", "auto", "auto, text or json",
		func(c *Config) *string { return &c.Log.Format }},
}

// AddFlags adds the flags of the layered settings.
func AddFlags(flags *pflag.FlagSet) {
	for _, s := range layers {
		flags.String(s.flag, "", s.help+" (default \""+s.value+"\")")
	}
}

// layer decides the layered settings: defaults, then the file, then the
// environment, then flags.
func (l *loader) layer(c *Config, root *yaml.Node, flags *pflag.FlagSet) {
	v := viper.New()
	for _, s := range layers {
		v.SetDefault(s.key, s.value)
		_ = v.BindEnv(s.key, s.env) // fails only without a key
		if flags != nil {
			if f := flags.Lookup(s.flag); f != nil {
				_ = v.BindPFlag(s.key, f) // fails only without a flag
			}
		}
		if written := *s.field(c); written != "" {
			section, name, _ := strings.Cut(s.key, ".")
			_ = v.MergeConfigMap(map[string]any{section: map[string]any{name: written}}) // fails never
		}
	}
	for _, s := range layers {
		field := s.field(c)
		written := *field
		*field = v.GetString(s.key)
		if *field != written {
			l.layered[s.key] = *field
		}
	}
}

// source says what decided a layered setting, for messages.
func (s *layered) source(c *Config, flags *pflag.FlagSet) string { return s.env }
