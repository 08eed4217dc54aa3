package kafka

import (
	"context"
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

var _ bridge.Provisioner = (*system)(nil)

// clusterDefault asks for what the cluster does by itself: KIP-464.
const clusterDefault = -1

// Provision is as bridge.Provisioner says: topics, with as many partitions as the
// cluster gives by itself where nothing else is set. What is made is not noted as the
// bridge's own, so it is the operator's and no removal finds it.
func (s *system) Provision(ctx context.Context, objects []bridge.Object) error {
	c := newCluster(s)
	defer c.close()
	for i := range objects {
		o := &objects[i]
		if o.Role != bridge.RoleLog || o.Kind != kindTopic {
			return fmt.Errorf("%s: %s: make %s %s: there is none at Kafka", Kind, s.name, o.Kind, o.Name)
		}
		if !validTopic(o.Name) {
			return bridge.Fatal(fmt.Errorf("%s: %s: make topic %s: it is no topic's name", Kind, s.name, bridge.Printable(o.Name, 100)),
				"A topic's name has up to 249 of the characters a-z A-Z 0-9 . _ -; change the template of the target.")
		}
		create := CreateConfig{Partitions: clusterDefault, Replication: clusterDefault}
		for _, x := range o.Settings {
			switch x.Name {
			case "partitions":
				create.Partitions = int(x.N)
			case "replication":
				create.Replication = int(x.N)
			default:
				create.Configs = append(create.Configs, fmt.Sprintf("%s=%v", x.Name, x.Value))
			}
		}
		maker := &SinkOpener{system: s, config: SinkConfig{Create: &create}}
		if err := maker.create(ctx, c, o.Name); err != nil {
			return err
		}
	}
	return nil
}
