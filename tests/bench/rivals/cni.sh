#!/bin/sh
# The CNI plugins bridge (with ipMasq) and host-local, as a container runtime calls them.
# cni.sh attach|detach PID, with CNI_PATH as the plugins' folder and SCRATCH for what they keep
[ "$1" = attach ] && CNI_COMMAND=ADD || CNI_COMMAND=DEL
export CNI_COMMAND CNI_CONTAINERID=guestnet-bench CNI_NETNS="/proc/$2/ns/net" CNI_IFNAME=eth0
exec "$CNI_PATH/bridge" >/dev/null <<END
{"cniVersion": "1.0.0", "name": "bench", "type": "bridge", "bridge": "bench0", "isGateway": true,
 "ipMasq": true, "ipam": {"type": "host-local", "dataDir": "$SCRATCH/cni",
 "ranges": [[{"subnet": "10.89.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
END
