"""What the demo shows: a meter's captured read and a sensor week.

- `accuchek_guide_full_read.json`: a full read of an Accu-Chek Guide, from jbravo94/simple-ble-glucose-reader
  (6f595b217cbb, misc/mysugr_dump/btsnoop_hci.log, MIT licence), identifiers removed.
- `hall_2018_*.csv`: three people's weeks with a Dexcom G4, from Hall et al. 2018, "Glucotypes reveal new
  patterns of glucose dysregulation", PLoS Biology 16(7):e2005143 (CC BY 4.0).
"""
